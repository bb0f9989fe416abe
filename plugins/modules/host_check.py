#!/usr/bin/python
"""Check whether a machine can become a Kubernetes node; every problem with its mend, nothing changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_check
author: Titanium maintainers
short_description: Check whether a machine can become a Kubernetes node
description: Looks, and changes nothing. All problems are returned together, one line each, with the mend.
options:
  state_dir:
    description: Folder of our own cluster; what runs from there is not in its own way.
    type: path
    required: true
  cpus:
    description: How many processors there must be.
    type: int
    required: true
  memory_gib:
    description: How much memory there must be, in GiB.
    type: float
    required: true
  disk_gib:
    description: How much must be free on the file systems of O(disk_paths), in GiB.
    type: float
    required: true
  disk_paths:
    description: Folders that will grow.
    type: list
    elements: path
    required: true
  ports:
    description: TCP ports that must be free, or ours.
    type: list
    elements: int
    required: true
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
"""

EXAMPLES = r"""
- name: Look at the machine
  titanium.platform.host_check:
    state_dir: /var/lib/titanium
    cpus: 2
    memory_gib: 4
    disk_gib: 15
    disk_paths: [/var/lib/titanium]
    ports: [6443]
"""

RETURN = r"""
problems:
  description: One line each, with the mend.
  returned: always
  type: list
  elements: str
"""

import os
import platform
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GIB = 2**30
LISTEN = "0A"
# Not kube-apiserver: tests of controllers start one by itself, which is no node and is in nobody's way.
CLUSTER_PROCESSES = {"kubelet", "k3s", "k3s-server", "k3s-agent", "microk8s", "rke2", "k0s"}
FOREIGN_CLUSTERS = {
    "/etc/kubernetes/manifests": "kubeadm: kubeadm reset",
    "/var/lib/rancher/k3s/server": "k3s: k3s-uninstall.sh",
    "/var/lib/rancher/rke2/server": "rke2: rke2-uninstall.sh",
    "/var/snap/microk8s": "MicroK8s: snap remove microk8s --purge",
}


def processes() -> Iterator[tuple[int, str, str]]:
    """Yield pid, name and executable of every process that can be looked at."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), (entry / "comm").read_text().strip(), str((entry / "exe").readlink())
            except OSError:
                continue


def listeners() -> dict[int, str]:
    """Return the socket inode of every listening TCP port."""
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == LISTEN:
                found[int(fields[1].rsplit(":", 1)[1], 16)] = fields[9]
    return found


def owner(inode: str) -> tuple[int, str, str] | None:
    """Return the process that holds a socket."""
    for pid, name, executable in processes():
        try:
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                if os.readlink(descriptor) == f"socket:[{inode}]":
                    return pid, name, executable
        except OSError:
            continue
    return None


def root() -> str | None:
    if os.geteuid() != 0:
        return "not root: a node needs it. Mend: sudo make up"
    return None


def system() -> str | None:
    if platform.machine() != "x86_64":
        return (
            f"the machine is {platform.machine()}: this inventory builds for x86_64 alone. Mend: use an x86_64 machine"
        )
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    if (
        not shutil.which("apt-get")
        or release.get("ID") != "debian"
        or int(release.get("VERSION_ID", "0").split(".")[0]) < 12
    ):
        name = release.get("PRETTY_NAME", "unknown")
        return f"the system is {name}: this inventory needs Debian 12 or newer. Mend: use such a machine, a container or a virtual one will do"
    return None


def kernel() -> Iterator[str]:
    if "overlay" not in Path("/proc/filesystems").read_text() and not shutil.which("modprobe"):
        yield "the kernel has no overlay file system. Mend: modprobe overlay, or another kernel"
    controllers = {
        line.split()[0] for line in Path("/proc/cgroups").read_text().splitlines()[1:] if line.split()[3] == "1"
    }
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        controllers |= set(Path("/sys/fs/cgroup/cgroup.controllers").read_text().split())
    missing = {"cpu", "memory", "pids"} - controllers
    if missing:
        yield f"the kernel lacks the cgroup controllers {', '.join(sorted(missing))}. Mend: boot with cgroup_enable=memory"


def size(cpus: int, memory_gib: float) -> Iterator[str]:
    if (found := os.cpu_count() or 1) < cpus:
        yield f"{found} processor: {cpus} are needed. Mend: a larger machine, or host_preflight_cpus={found} and patience"
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    # A machine sold with 4 GiB reports a little less.
    if memory < memory_gib * 0.95:
        yield f"{memory:.1f} GiB of memory: {memory_gib:g} are needed. Mend: a larger machine"


def space(paths: list[str], disk_gib: float) -> Iterator[str]:
    seen = set()
    for path in paths:
        there = next(p for p in (Path(path), *Path(path).parents) if p.exists())
        device = there.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        free = shutil.disk_usage(there).free / GIB
        if free < disk_gib:
            yield f"{free:.1f} GiB free for {path}: {disk_gib:.10g} are needed. Mend: free some, or move it to a larger file system"


def taken(ports: list[int], ours: Callable[[str], bool]) -> Iterator[str]:
    found = listeners()
    for port in ports:
        if port in found:
            holder = owner(found[port])
            if holder is None:
                yield f"port {port} is in use by another process. Mend: stop it (ss -ltnp | grep :{port})"
            elif not ours(holder[2]):
                yield f"port {port} is in use by {holder[1]} (process {holder[0]}). Mend: stop it"


def shares_our_network(pid: int) -> bool:
    """Return whether a process has the network that we have: one in a container (kind, k3d) is in nobody's way."""
    try:
        return Path(f"/proc/{pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink()
    except OSError:  # It has ended.
        return False


def foreign_cluster(ours: Callable[[str], bool]) -> Iterator[str]:
    for pid, name, executable in processes():
        if name in CLUSTER_PROCESSES and not ours(executable) and shares_our_network(pid):
            yield f"another Kubernetes runs here: {name} (process {pid}). Mend: stop and remove it, or use another machine"
    for path, mend in FOREIGN_CLUSTERS.items():
        if Path(path).is_dir() and any(Path(path).iterdir()):
            yield f"another Kubernetes is installed here ({path}). Mend: remove it ({mend}), or use another machine"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state_dir": {"type": "path", "required": True},
            "cpus": {"type": "int", "required": True},
            "memory_gib": {"type": "float", "required": True},
            "disk_gib": {"type": "float", "required": True},
            "disk_paths": {"type": "list", "elements": "path", "required": True},
            "ports": {"type": "list", "elements": "int", "required": True},
        },
        supports_check_mode=True,
    )
    p: dict[str, Any] = module.params

    def ours(executable: str) -> bool:
        # An executable that was replaced while it runs is shown with " (deleted)" behind it.
        path = executable.removesuffix(" (deleted)")
        return (
            path.startswith(p["state_dir"].rstrip("/") + "/") or "/containers/" in path or path == "/usr/bin/containerd"
        )

    problems = [problem for problem in (root(), system()) if problem]
    # Nothing else can be seen properly without root.
    if os.geteuid() == 0:
        problems += [*kernel(), *size(p["cpus"], p["memory_gib"]), *space(p["disk_paths"], p["disk_gib"])]
        problems += [*taken(p["ports"], ours), *foreign_cluster(ours)]
    module.exit_json(changed=False, problems=problems)


if __name__ == "__main__":
    main()
