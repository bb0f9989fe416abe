#!/usr/bin/env bash
# Build Go programs into a folder of their own, all or nothing.
# usage: build.sh CACHE SOURCE TARGET LDFLAGS NAME=PACKAGE ...
set -euo pipefail

cache=$1 source=$2 target=$3 ldflags=$4
shift 4

export GOMODCACHE=$cache/go/mod GOCACHE=$cache/go/build
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=readonly GOWORK=off
# Half of what the modules of this size need at the peak; the compiler then collects more often instead of swapping.
export GOMEMLIMIT=4GiB

work=$(mktemp -d "${target%/*}/.build.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$source"

go=("$cache/toolchain/bin/go" build -trimpath -buildvcs=false -ldflags "-s -w $ldflags")
packages=()
for binary in "$@"; do packages+=("${binary#*=}"); done
# All at once: they share most of what there is to compile. Each is named after the last part of its path.
"${go[@]}" -o "$work/" "${packages[@]}"

for binary in "$@"; do
  name=${binary%%=*} package=${binary#*=}
  built=$work/$(basename "$package")
  # .../server/v3 is named after the part before the version.
  [[ -e $built ]] || built=$work/$(basename "$(dirname "$package")")
  [[ $built == "$work/$name" ]] || mv "$built" "$work/$name"
done
chmod 0755 "$work"
mv -T "$work" "$target"
trap - EXIT
