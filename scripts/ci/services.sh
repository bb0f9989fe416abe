#!/usr/bin/env bash
# Test the services on a PostgreSQL and a Redis that run elsewhere: $TITANIUM_TEST_POSTGRES and $TITANIUM_TEST_REDIS are HOST:PORT.
# One test after another: they share the server. Those that kill a server bring their own and are in `make integration`.
set -euo pipefail
cd "$(dirname "$0")/../.."
make --no-print-directory venv-dev
export PYTHONPATH="$PWD/services:$PWD"
.venv-dev/bin/pytest tests/integration/services --ignore tests/integration/services/auth/test_outages.py \
  --ignore tests/integration/services/blog/test_outages.py --ignore tests/integration/services/migrations "$@"
