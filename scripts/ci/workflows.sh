#!/usr/bin/env bash
# Check the workflows: actionlint for what is wrong, zizmor for what is dangerous.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/titanium
.venv-dev/bin/ansible-playbook playbooks/actionlint.yml -e "go_binaries_cache_dir=$cache" >/dev/null
"$(<"$cache/bin/actionlint/path")" -shellcheck shellcheck -pyflakes ''
.venv-dev/bin/zizmor --offline --quiet --persona pedantic .github/workflows
