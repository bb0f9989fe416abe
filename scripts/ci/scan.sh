#!/usr/bin/env bash
# Fail on a HIGH or CRITICAL vulnerability of an image, unless .trivyignore.yaml excuses it with a reason and until a day.
# usage: scripts/ci/scan.sh IMAGE
set -euo pipefail
cd "$(dirname "$0")/../.."
python3 scripts/ci/trivy_ignores.py
trivy image --scanners vuln --severity HIGH,CRITICAL --exit-code 1 --ignorefile .trivyignore.yaml --show-suppressed "$1"
