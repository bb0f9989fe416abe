#!/usr/bin/env bash
# Remove every iptables chain whose name begins with a prefix, every rule that mentions one, and what is empty then.
# usage: drop-chains.sh PREFIX
set -euo pipefail
prefix=$1
for family in iptables ip6tables; do
  command -v "$family-save" >/dev/null || continue
  saved=$("$family-save" 2>/dev/null || true)
  grep -q -- "$prefix" <<<"$saved" || continue
  # One transaction for each table: the other rules are never gone in between.
  grep -v -E -- "(^:|-[AjgN] ?)$prefix|-j $prefix" <<<"$saved" | "$family-restore"
done
# A table that holds nothing was not there before: chains without rules that let everything pass.
for family in iptables ip6tables; do
  command -v "$family-save" >/dev/null || continue
  for table in mangle nat filter raw; do
    content=$("$family-save" -t "$table" 2>/dev/null || true)
    if [[ -n $content ]] && ! grep -q -E '^-A|^:[A-Z]+ DROP|^:[^ ]+ - ' <<<"$content"; then
      "$family" -t "$table" -X 2>/dev/null || true
    fi
  done
done
