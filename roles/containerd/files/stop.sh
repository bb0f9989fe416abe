#!/usr/bin/env bash
# Stop every container of one containerd: in order where they listen, by force where they don't.
# usage: stop.sh RUN_DIR BRIDGE SECONDS
set -uo pipefail
run=$1 bridge=$2 seconds=$3
ctr=(ctr --address "$run/containerd.sock" --namespace k8s.io)

running() { "${ctr[@]}" tasks list 2>/dev/null | awk '$3 == "RUNNING" {print $1}'; }

for task in $(running); do "${ctr[@]}" tasks kill --signal SIGTERM "$task" 2>/dev/null; done
deadline=$((SECONDS + seconds))
while [[ -n $(running) && $SECONDS -lt $deadline ]]; do sleep 0.5; done
for task in $(running); do "${ctr[@]}" tasks kill --signal SIGKILL "$task" 2>/dev/null; done
sleep 0.5
# A shim serves this containerd alone when it names its socket.
pkill -KILL -f "containerd-shim.* -address $run/containerd.sock" || true

# What runc and the network plugins mounted and linked, the deepest first.
awk -v run="$run/" 'index($2, run) == 1 {print $2}' /proc/mounts | sort -r | while read -r mount; do umount --lazy "$mount"; done
for namespace in /run/netns/cni-*; do
  [[ -e $namespace ]] || continue
  ip netns delete "${namespace##*/}" 2>/dev/null || { umount --lazy "$namespace" 2>/dev/null; rm -f "$namespace"; }
done
# The mount that start.sh made, unless somebody else has namespaces in it.
[[ -n $(ls -A /run/netns 2>/dev/null) ]] || umount /run/netns 2>/dev/null
ip link delete "$bridge" 2>/dev/null
rm -rf "$run/addresses"
exit 0
