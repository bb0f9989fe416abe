#!/usr/bin/env bash
# Look for secrets in every file and in every commit since $BASE; a first push, or one that was forced, has no base.
set -euo pipefail
cd "$(dirname "$0")/../.."
make --no-print-directory venv-dev
.venv-dev/bin/python scripts/ci/find_secrets.py
if [[ ${BASE:-} =~ ^[0-9a-f]{40}$ ]] && git merge-base "$BASE" HEAD >/dev/null 2>&1; then
  .venv-dev/bin/python scripts/ci/find_secrets.py --since "$(git merge-base "$BASE" HEAD)"
fi
