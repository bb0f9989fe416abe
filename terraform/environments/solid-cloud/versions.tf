terraform {
  # 1.10: the state's lock file in an S3 bucket.
  required_version = ">= 1.10"

  required_providers {
    cloudstack = {
      source  = "cloudstack/cloudstack"
      version = ">= 0.6.0, < 1.0.0"
    }
  }

  # Partial on purpose: where the state lives is yours. terraform init -backend-config=backend.hcl (see backend.hcl.example)
  backend "s3" {}
}

# Address and keys come from CLOUDSTACK_API_URL, CLOUDSTACK_API_KEY and CLOUDSTACK_SECRET_KEY, never from a file here.
provider "cloudstack" {}
