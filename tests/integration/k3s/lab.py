"""Hosts to install on: namespaces of this machine, each with a root folder, an address, processes and an sshd of its own.

They are connected in a network that nothing else sees, and Ansible runs in it. All of it ends with the processes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.doubles import k3s as doubles
from tests.harness.processes import Process

if TYPE_CHECKING:
    from types import TracebackType

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).resolve().parent
OLD, NEW = "v1.34.11+k3s1", "v1.35.8+k3s1"


@dataclass
class Run:
    """What a playbook did."""

    status: int
    output: str

    @property
    def flat(self) -> str:
        """The output with line breaks taken out, to look for a message in."""
        return " ".join(self.output.split())

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """What came of each host: ok, changed, failed and so on."""
        found = {}
        for line in self.output.partition("PLAY RECAP")[2].splitlines()[1:]:
            name, colon, counts = line.partition(":")
            if colon and "ok=" in counts:
                found[name.strip()] = {key: int(value) for key, _, value in (c.partition("=") for c in counts.split())}
        return found

    @property
    def changed(self) -> dict[str, int]:
        """How many tasks changed something, by host; hosts without are left out."""
        return {name: counts["changed"] for name, counts in self.recap.items() if counts["changed"]}


def in_network_of(process: Process, *command: str) -> list[str]:
    """Return a command that runs another one in a process's network."""
    return ["nsenter", f"--net=/proc/{process.pid}/ns/net", *command]


@dataclass
class Lab:
    """A network with hosts, and a folder that is what etcd would be to them."""

    folder: Path
    servers: list[str]
    agents: list[str]
    variables: dict[str, Any] = field(default_factory=dict)
    extra_hosts: list[str] = field(default_factory=list)
    #: The network's own address; those of the hosts begin at .10.
    gateway: str = "10.99.0.1"

    def __post_init__(self) -> None:
        """Lay out the folders; nothing runs yet."""
        self.stack = ExitStack()
        self.hosts: dict[str, Process] = {}
        self.network_prefix = self.gateway.rpartition(".")[0]
        self.addresses = {name: f"{self.network_prefix}.{10 + number}" for number, name in enumerate(self.all_hosts)}
        self.cluster = self.folder / "cluster"
        self.credentials = self.folder / "credentials"
        self.kubeconfig = self.folder / "kubeconfig"
        self.doubles = self.folder / "doubles"
        self.releases = self.folder / "releases"
        for folder in (self.cluster / "nodes", self.cluster / "broken", self.doubles):
            folder.mkdir(parents=True)
        self.checksums = {version: {"amd64": doubles.release(self.releases, version)} for version in (OLD, NEW)}

    @property
    def all_hosts(self) -> list[str]:
        """Every host, of the cluster or not."""
        return [*self.servers, *self.agents, *self.extra_hosts]

    def __enter__(self) -> Self:
        """Start the network and its hosts."""
        self.stack.__enter__()
        try:
            self._keys()
            self.network = self._start("network", ["unshare", "--net", "sleep", "infinity"])
            ip = in_network_of(self.network, "ip")
            for arguments in (
                "link set lo up",
                "link add lab type bridge",
                f"address add {self.gateway}/24 dev lab",
                "link set lab up",
            ):
                subprocess.run([*ip, *arguments.split()], check=True)
            for name, address in self.addresses.items():
                self.boot(name, address)
            for name in self.all_hosts:
                self.hosts[name].wait_until(lambda name=name: self._answers(name), 30)  # type: ignore[misc]
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything."""
        for socket in (self.folder / "ssh").glob("*"):
            subprocess.run(["ssh", "-S", socket, "-O", "exit", "host"], check=False, capture_output=True)
        self.stack.__exit__(kind, error, trace)

    def _keys(self) -> None:
        for name in ("host_key", "client_key"):
            path = self.doubles / name
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
        shutil.copy(self.doubles / "client_key.pub", self.doubles / "authorized_keys")
        known = f"{self.network_prefix}.* {(self.doubles / 'host_key.pub').read_text()}"
        (self.doubles / "known_hosts").write_text(known)
        for name in ("systemctl", "sysctl"):
            (self.doubles / name).write_bytes(doubles.program(name))
        (self.folder / "ssh").mkdir(mode=0o700)

    def _start(self, name: str, command: list[str]) -> Process:
        process = Process(name, command, self.folder / f"{name}.log")
        process.start()
        self.stack.callback(process.kill)
        ours = Path("/proc/self/ns/net").readlink()
        process.wait_until(lambda: Path(f"/proc/{process.pid}/ns/net").readlink() != ours, 10)
        return process

    def boot(self, name: str, address: str) -> None:
        """Start a host of that name and address; it answers a moment later."""
        folder = self.folder / "hosts" / name
        folder.mkdir(parents=True)
        script = [str(HERE / "host.sh"), str(folder), str(self.cluster), str(self.doubles)]
        unshare = ["unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
        host = self._start(name, [*unshare, "bash", "-c", 'hostname "$1" && shift && exec "$@"', "-", name, *script])
        # An interface's name has 15 characters at most.
        port = f"to-{len(self.hosts)}"
        link = ["link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(host.pid)]
        for arguments in (link, f"link set {port} master lab up".split()):
            subprocess.run(in_network_of(self.network, "ip", *arguments), check=True)
        for text in ("link set lo up", f"address add {address}/24 dev eth0", "link set eth0 up"):
            subprocess.run(in_network_of(host, "ip", *text.split()), check=True)
        self.addresses[name], self.hosts[name] = address, host

    def _answers(self, name: str) -> bool:
        return self.on(name, "true", check=False).returncode == 0

    @property
    def _ssh(self) -> list[str]:
        options = ("UserKnownHostsFile", "known_hosts"), ("IdentityFile", "client_key")
        return ["-F", "none", *(word for key, file in options for word in ("-o", f"{key}={self.doubles / file}"))]

    def on(self, name: str, command: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on a host."""
        ssh = ["ssh", *self._ssh, "-o", "ConnectTimeout=3", f"root@{self.addresses[name]}", command]
        return subprocess.run(in_network_of(self.network, *ssh), check=check, capture_output=True, text=True)

    def inventory(self) -> Path:
        """Write the inventory and return its path."""

        def group(names: list[str]) -> dict[str, Any]:
            return {"hosts": {n: {"ansible_host": self.addresses[n], "k3s_node_ip": self.addresses[n]} for n in names}}

        groups = {"k3s_servers": group(self.servers), "k3s_agents": group(self.agents)}
        variables = {
            "ansible_user": "root",
            "ansible_python_interpreter": sys.executable,
            "ansible_ssh_common_args": " ".join(self._ssh),
            "k3s_api_endpoint": "api.example.org",
            "k3s_registration_address": self.addresses[self.servers[0]],
            "k3s_download_base": f"file://{self.releases}",
            "k3s_version": OLD,
            "k3s_checksums": self.checksums,
            "k3s_credentials_dir": str(self.credentials),
            "k3s_kubeconfig": str(self.kubeconfig),
            "k3s_wait_timeout": 20,
        }
        content = {"k3s_cluster": {"children": groups, "vars": {**variables, **self.variables}}}
        path = self.folder / "inventory.yml"
        path.write_text(json.dumps(content))
        return path

    def play(self, playbook: str | Path, *arguments: str, **extra: object) -> Run:
        """Run a playbook in the laboratory's network, whatever comes of it."""
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "K8S_"))},
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.folder / "ssh"),
            # A connection to a host that died must end, too.
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s -o ServerAliveInterval=5",
            "ANSIBLE_NOCOLOR": "1",
        }
        path = ROOT / "playbooks" / playbook if isinstance(playbook, str) else playbook
        command = [ROOT / ".venv/bin/ansible-playbook", path, "-i", self.inventory(), *arguments]
        if extra:
            command += ["-e", json.dumps(extra)]
        done = subprocess.run(
            in_network_of(self.network, *map(str, command)),
            cwd=ROOT,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return Run(done.returncode, done.stdout)

    def must_play(self, playbook: str | Path, *arguments: str, **extra: object) -> Run:
        """Run a playbook that must succeed."""
        done = self.play(playbook, *arguments, **extra)
        assert done.status == 0, done.output
        return done

    def events(self, since: float = 0.0) -> list[tuple[str, str]]:
        """What happened in the cluster, in order: event and node."""
        path = self.cluster / "events"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(e["event"], e["node"]) for e in map(json.loads, lines) if e["time"] > since]

    def nodes(self) -> dict[str, dict[str, Any]]:
        """The cluster's nodes, by name."""
        return {path.stem: json.loads(path.read_text()) for path in sorted((self.cluster / "nodes").glob("*.json"))}

    def versions(self) -> dict[str, str]:
        """Which version each node has."""
        return {name: node["version"] for name, node in self.nodes().items()}

    def break_node(self, name: str, version: str) -> None:
        """Let a version fail to start on a node."""
        (self.cluster / "broken" / name).write_text(version)

    def mend_node(self, name: str) -> None:
        """Take `break_node` back."""
        (self.cluster / "broken" / name).unlink()
