#!/usr/bin/env bash
# Stop k3s on this machine, and every container, mount and link that it left behind.
# Prints what it stopped; nothing where there is nothing.
set -uo pipefail
data=/var/lib/rancher/k3s

if [[ -e /usr/local/bin/k3s && ! -L /usr/local/bin/k3s ]]; then
  echo "there is a k3s that this role did not install (/usr/local/bin/k3s). Mend: k3s-uninstall.sh" >&2
  exit 1
fi

if [[ -e /etc/systemd/system/k3s.service ]]; then
  systemctl disable --now k3s.service >/dev/null 2>&1
  systemctl reset-failed k3s.service >/dev/null 2>&1
  echo "stopped k3s"
fi

# Containers outlive k3s. A shim's children are the container's processes.
tree() {
  local child
  echo "$1"
  for child in $(pgrep --parent "$1"); do tree "$child"; done
}
for shim in $(pgrep --full "^$data/data/[^/]*/bin/containerd-shim"); do
  mapfile -t processes < <(tree "$shim")
  kill -KILL "${processes[@]}" 2>/dev/null
  echo "ended the container of process $shim"
done

# The deepest first.
awk '$2 ~ "^(/run/k3s|/run/netns/cni-|/var/lib/kubelet|/var/lib/rancher/k3s)" {print $2}' /proc/mounts | sort -r | while read -r mount; do
  umount --lazy "$mount" && echo "unmounted $mount"
done
rm -f /run/netns/cni-*

for link in $(ip -oneline link show master cni0 2>/dev/null | sed 's/^[0-9]*: \([^:@]*\).*/\1/') \
  cni0 flannel.1 flannel-v6.1 flannel-wg flannel-wg-v6 kube-ipvs0; do
  ip link delete "$link" 2>/dev/null && echo "removed the link $link"
done
exit 0
