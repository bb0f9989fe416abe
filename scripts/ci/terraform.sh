#!/usr/bin/env bash
# Check Terraform's form, and run the modules' own tests; no cloud is asked. Works on a copy: what init leaves is not for git.
set -euo pipefail
cd "$(dirname "$0")/../.."
terraform fmt -check -recursive -diff terraform
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R terraform "$work/terraform"
for folder in "$work"/terraform/modules/* "$work"/terraform/environments/*; do
  echo "--- ${folder#"$work"/}"
  terraform -chdir="$folder" init -backend=false -input=false -no-color >/dev/null
  terraform -chdir="$folder" validate -no-color
  terraform -chdir="$folder" test -no-color
done
