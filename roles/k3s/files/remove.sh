#!/usr/bin/env bash
# Remove files and folders, and say which of them there were.
# usage: remove.sh PATH ...
set -euo pipefail
for path in "$@"; do
  [[ -e $path || -L $path ]] || continue
  rm -rf "$path"
  echo "removed $path"
done
# Folders that others may use as well.
rmdir --ignore-fail-on-non-empty /etc/rancher /var/lib/rancher 2>/dev/null || true
systemctl daemon-reload
