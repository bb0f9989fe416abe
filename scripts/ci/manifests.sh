#!/usr/bin/env bash
# Render every overlay and validate it against several Kubernetes versions.
set -euo pipefail
cd "$(dirname "$0")/../.."
make --no-print-directory venv-dev
.venv-dev/bin/python scripts/ci/manifests.py "$@"
