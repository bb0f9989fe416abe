#!/usr/bin/env bash
# What the machine must offer to the cluster, and nothing else of it: kernel switches, the node's address.
# usage: host.sh prepare|restore STATE_DIR NODE_IP
# Prints what it changed. Earlier values of kernel switches are kept, so that `restore` can put them back.
set -euo pipefail
action=$1 state=$2 address=$3
remembered=$state/host-sysctl
declare -A wanted=(
  [net.ipv4.ip_forward]=1
  [net.bridge.bridge-nf-call-iptables]=1
  [net.ipv4.conf.all.route_localnet]=1
  [vm.overcommit_memory]=1
  [kernel.panic]=10
  [kernel.panic_on_oops]=1
)

case $action in
  prepare)
    modprobe --all br_netfilter overlay 2>/dev/null || true
    mkdir -p "$state"
    touch "$remembered"
    for name in "${!wanted[@]}"; do
      path=/proc/sys/${name//./\/}
      [[ -e $path ]] || continue
      value=$(<"$path")
      [[ $value == "${wanted[$name]}" ]] && continue
      grep -q "^$name=" "$remembered" || echo "$name=$value" >>"$remembered"
      # Some machines forbid what the kubelet would merely like; it says so in its log.
      if echo "${wanted[$name]}" 2>/dev/null >"$path"; then echo "$name: $value -> ${wanted[$name]}"; fi
    done
    # Not piped into grep -q, which may end before ip does: with pipefail that reads as "not there".
    addresses=$(ip -oneline address show dev lo)
    if [[ $addresses != *" $address/32 "* ]]; then
      ip address add "$address/32" dev lo
      echo "address $address on lo"
    fi
    ;;
  restore)
    if [[ -e $remembered ]]; then
      while IFS='=' read -r name value; do echo "$value" >"/proc/sys/${name//./\/}"; done <"$remembered"
      rm -f "$remembered"
    fi
    ip address delete "$address/32" dev lo 2>/dev/null || true
    ;;
esac
