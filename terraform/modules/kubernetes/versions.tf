terraform {
  required_version = ">= 1.9"
  required_providers {
    cloudstack = {
      source  = "cloudstack/cloudstack"
      version = ">= 0.6.0, < 1.0.0"
    }
  }
}
