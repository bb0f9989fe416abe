#!/usr/bin/env bash
# Make a fresh Debian machine ready for make, as root. The clone belongs to somebody else there, which git would refuse.
set -euo pipefail
cd "$(dirname "$0")/../.."
export DEBIAN_FRONTEND=noninteractive
apt-get install --yes --no-install-recommends make python3 python3-venv procps >/dev/null
git config --global --add safe.directory "$PWD"
