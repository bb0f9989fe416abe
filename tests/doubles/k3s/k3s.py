"""k3s as far as an installer sees it: servers and agents that join, a kubectl that knows nodes, snapshots of etcd.

What etcd would hold lies in /cluster, a folder that all nodes of a test share; a kubeconfig there, of a real cluster, is what the
administrator gets. As the real one it refuses unknown settings, files that are missing or malformed, kernel settings that the
kubelet would refuse, and wrong tokens.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

VERSION = ""
# constants

CLUSTER = Path("/cluster")
DATA = Path("/var/lib/rancher/k3s")
CONF = Path("/etc/rancher/k3s")
PORT = 6443
#: Seconds after which a node that says nothing counts as not ready.
SILENCE = 8.0

AGENT_SETTINGS = {
    "debug", "v", "token", "token-file", "server", "data-dir", "node-name", "with-node-id", "node-label", "node-taint",
    "selinux", "protect-kernel-defaults", "container-runtime-endpoint", "pause-image", "snapshotter", "private-registry",
    "node-ip", "node-external-ip", "resolv-conf", "flannel-iface", "kubelet-arg", "kube-proxy-arg", "rootless",
}  # fmt: skip
SERVER_SETTINGS = AGENT_SETTINGS | {
    "bind-address", "https-listen-port", "advertise-address", "tls-san", "tls-san-security", "cluster-cidr", "service-cidr",
    "cluster-dns", "cluster-domain", "flannel-backend", "write-kubeconfig", "write-kubeconfig-mode", "agent-token",
    "agent-token-file", "cluster-init", "kube-apiserver-arg", "etcd-arg", "kube-controller-manager-arg",
    "kube-scheduler-arg", "etcd-expose-metrics", "etcd-disable-snapshots", "etcd-snapshot-schedule-cron",
    "etcd-snapshot-retention", "etcd-snapshot-dir", "disable", "secrets-encryption", "embedded-registry",
}  # fmt: skip
KERNEL = {"vm.overcommit_memory": "1", "vm.panic_on_oom": "0", "kernel.panic": "10", "kernel.panic_on_oops": "1"}


def fatal(message: str) -> None:
    """End as k3s does."""
    sys.exit(f'level=fatal msg="{message}"')


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Keep other nodes from changing the cluster meanwhile."""
    with (CLUSTER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def event(what: str, node: str) -> None:
    """Write down what happened, for the test."""
    line = json.dumps({"event": what, "node": node, "version": VERSION, "time": time.time()})
    with (CLUSTER / "events").open("a") as events:
        events.write(line + "\n")


def node_file(name: str) -> Path:
    """Return where a node's object lies."""
    return CLUSTER / "nodes" / f"{name}.json"


def read_node(name: str) -> dict[str, Any] | None:
    """Return a node's object, if there is one."""
    try:
        found: dict[str, Any] = json.loads(node_file(name).read_text())
    except FileNotFoundError:
        return None
    return found


def write_node(name: str, node: dict[str, Any]) -> None:
    """Write a node's object, whole or not at all."""
    path = node_file(name)
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
    temporary.write_text(json.dumps(node))
    temporary.replace(path)


def ready(node: dict[str, Any]) -> bool:
    """Whether a node has been heard of lately."""
    return bool(node["running"]) and time.time() - float(node["heard"]) < SILENCE


# --- server and agent


def configuration(role: str) -> dict[str, Any]:
    """Return the configuration, or refuse it."""
    found: dict[str, Any] = yaml.safe_load((CONF / "config.yaml").read_text())
    unknown = set(found) - (SERVER_SETTINGS if role == "server" else AGENT_SETTINGS)
    if unknown:
        fatal(f"flag provided but not defined: -{min(unknown)}")
    for argument in found.get("kube-apiserver-arg", []):
        name, _, value = argument.partition("=")
        if name in ("audit-policy-file", "admission-control-config-file"):
            document = yaml.safe_load(Path(value).read_text())
            if not {"apiVersion", "kind"} <= set(document):
                fatal(f"{value} is no configuration")
    if found.get("protect-kernel-defaults"):
        kernel = json.loads(Path("/run/sysctl.json").read_text())
        wrong = [name for name, value in KERNEL.items() if kernel.get(name) != value]
        if wrong:
            fatal(f"invalid kernel flag: {', '.join(wrong)}")
    yaml.safe_load((CONF / "registries.yaml").read_text())
    return found


def join(role: str, config: dict[str, Any]) -> None:
    """Begin the cluster or join it, with the right token."""
    token = Path(config["token-file"]).read_text().strip()
    known = CLUSTER / f"{role}-token"
    member = DATA / "server/db/etcd"
    if role == "server" and not member.exists() and config.get("cluster-init"):
        if (CLUSTER / "server-token").exists():
            event("second-cluster", config["node-name"])
        (CLUSTER / "server-token").write_text(token)
        (CLUSTER / "agent-token").write_text(Path(config["agent-token-file"]).read_text().strip())
    elif not member.exists():
        host, _, port = config["server"].removeprefix("https://").partition(":")
        try:
            socket.create_connection((host, int(port)), timeout=3).close()
        except OSError as error:
            fatal(f"failed to get CA certs: {config['server']}: {error}")
    if known.read_text() != token:
        fatal("token is not valid")
    if role == "server":
        member.mkdir(parents=True, exist_ok=True)


def kubeconfig(config: dict[str, Any]) -> None:
    """Write the administrator's kubeconfig as k3s does."""
    path = CONF / "k3s.yaml"
    path.touch()
    path.chmod(int(config.get("write-kubeconfig-mode", "0600"), 8))
    if (CLUSTER / "kubeconfig").exists():
        path.write_text(
            re.sub(r"server: https://\S+", f"server: https://127.0.0.1:{PORT}", (CLUSTER / "kubeconfig").read_text())
        )
        return
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "default", "cluster": {"server": f"https://127.0.0.1:{PORT}"}}],
                "users": [{"name": "default", "user": {"client-key-data": base64.b64encode(b"secret-key").decode()}}],
            }
        )
    )


def start_pod() -> None:
    """Start a container that outlives us, as they do."""
    shim = DATA / "data/0123/bin/containerd-shim-runc-v2"
    if shim.parent.exists():
        return
    shim.parent.mkdir(parents=True)
    # The second command keeps the shell from becoming the first.
    subprocess.Popen([str(shim), "-c", "sleep 3600; true"], executable="/bin/sh", start_new_session=True)


def answer(listener: socket.socket) -> None:
    """Take connections, which says that the API is there."""
    while True:
        listener.accept()[0].close()


def run(role: str) -> None:
    """Be a node until told to stop."""
    config = configuration(role)
    name = config["node-name"]
    broken = CLUSTER / "broken" / name
    if broken.exists() and broken.read_text() == VERSION:
        fatal("this node is broken")
    with locked():
        join(role, config)
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    if role == "server":
        kubeconfig(config)
        listener = socket.create_server((config.get("bind-address", "0.0.0.0"), PORT))  # noqa: S104
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
    start_pod()
    with locked():
        node = read_node(name) or {"annotations": {}, "unschedulable": False}
        labels = dict(label.split("=", 1) for label in config.get("node-label", []))
        node |= {"role": role, "ip": config["node-ip"], "labels": labels, "taints": config.get("node-taint", [])}
        node |= {"version": VERSION, "running": True, "heard": time.time()}
        write_node(name, node)
    event("start", name)
    while not stopping.wait(0.3):
        beat(name, running=True)
    beat(name, running=False)
    event("stop", name)


def beat(name: str, *, running: bool) -> None:
    """Say that we are there, or go. A node that was deleted stays so."""
    with locked():
        if node := read_node(name):
            write_node(name, {**node, "running": running, "heard": time.time()})


# --- kubectl


def kubectl(arguments: list[str]) -> None:
    """The few commands that an installer needs."""
    try:
        if not (CONF / "k3s.yaml").exists():
            raise ConnectionRefusedError
        socket.create_connection(("127.0.0.1", PORT), timeout=3).close()
    except OSError:
        sys.exit(f"The connection to the server 127.0.0.1:{PORT} was refused - did you specify the right host or port?")
    match arguments:
        case ["get", "nodes", "--no-headers"]:
            for path in sorted((CLUSTER / "nodes").glob("*.json")):
                print(row(path.stem, json.loads(path.read_text())))
        case ["get", "node", name, *options] if options[-2:] == ["--output", "json"]:
            get_node(name, ignore_missing="--ignore-not-found" in options)
        case ["cordon" | "uncordon" as verb, name]:
            change(name, unschedulable=verb == "cordon")
            event(verb, name)
        case ["annotate", "node", name, annotation, *_]:
            annotate(name, annotation)
        case ["drain", name, "--timeout", limit, *options]:
            if not re.fullmatch(r"\d+s", limit) or "--ignore-daemonsets" not in options:
                sys.exit("error: cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)")
            change(name, unschedulable=True)
            event("drain", name)
            print(f"node/{name} drained")
        case ["delete", "node", name]:
            must_exist(name)
            node_file(name).unlink()
            event("delete", name)
            print(f'node "{name}" deleted')
        case _:
            sys.exit(f"error: the double knows no kubectl {' '.join(arguments)}")


def must_exist(name: str) -> dict[str, Any]:
    """Return a node's object, or end as kubectl does."""
    node = read_node(name)
    if node is None:
        sys.exit(f'Error from server (NotFound): nodes "{name}" not found')
    return node


def row(name: str, node: dict[str, Any]) -> str:
    """Return a line of `kubectl get nodes`."""
    status = ("Ready" if ready(node) else "NotReady") + (",SchedulingDisabled" if node["unschedulable"] else "")
    role = "control-plane,etcd" if node["role"] == "server" else "<none>"
    return f"{name}   {status}   {role}   5m   {node['version']}"


def get_node(name: str, *, ignore_missing: bool) -> None:
    """Print a node's object."""
    if ignore_missing and read_node(name) is None:
        return
    node = must_exist(name)
    shown = {
        "metadata": {"name": name, "annotations": node["annotations"], "labels": node["labels"]},
        "spec": {"unschedulable": True} if node["unschedulable"] else {},
        "status": {
            "nodeInfo": {"kubeletVersion": node["version"]},
            "conditions": [
                {"type": "MemoryPressure", "status": "False"},
                {"type": "Ready", "status": "True" if ready(node) else "Unknown"},
            ],
        },
    }
    print(json.dumps(shown))


def change(name: str, **values: object) -> None:
    """Change a node's object."""
    with locked():
        write_node(name, {**must_exist(name), **values})


def annotate(name: str, annotation: str) -> None:
    """Set an annotation (key=value) or remove it (key-)."""
    annotations = dict(must_exist(name)["annotations"])
    key, assigned, value = annotation.partition("=")
    if assigned:
        annotations[key] = value
    else:
        annotations.pop(key.removesuffix("-"), None)
    change(name, annotations=annotations)


# --- snapshots


def snapshot(arguments: list[str]) -> None:
    """Save a snapshot, or remove the oldest."""
    folder = DATA / "server/db/snapshots"
    name = arguments[arguments.index("--name") + 1]
    match arguments[0]:
        case "save":
            folder.mkdir(exist_ok=True)
            (folder / f"{name}-{socket.gethostname()}-{time.time_ns()}").write_text("etcd")
            event("snapshot", socket.gethostname())
        case "prune":
            kept = int(arguments[arguments.index("--snapshot-retention") + 1])
            for old in sorted(folder.glob(f"{name}-*"))[:-kept]:
                old.unlink()
        case _:
            sys.exit(f"No help topic for '{arguments[0]}'")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--version"]:
            print(f"k3s version {VERSION} (0123abcd)")
        case ["server" | "agent" as wanted]:
            run(wanted)
        case ["kubectl", *rest]:
            kubectl(rest)
        case ["etcd-snapshot", *rest]:
            snapshot(rest)
        case rest:
            sys.exit(f"No help topic for '{' '.join(rest)}'")
