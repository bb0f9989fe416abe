#!/bin/sh
# Start a program that runs pods, once /run/netns is a shared mount of its own.
# Where it is none, the first `ip netns add` of anybody makes it one by mounting the folder over itself. The network namespaces of
# pods from before then stay mounted below, out of reach, and these pods can never be deleted. Where pods run already it's too late.
# usage: start.sh PROGRAM [ARGUMENT ...]
set -eu
if ! mountpoint --quiet /run/netns && ! grep --quiet ' /run/netns/' /proc/mounts; then
  mkdir -p /run/netns
  mount --bind /run/netns /run/netns
  mount --make-rshared /run/netns
fi
exec "$@"
