"""A Kubernetes control plane without nodes: etcd, API server and controller manager as processes on free ports."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN = "integration-tests"
_COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager")


def find_binaries() -> dict[str, Path]:
    """Return where the control plane's programs are.

    They are looked for in the folder TITANIUM_KUBE_BIN, then below ~/.cache/titanium/bin, the newest first.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "titanium" / "bin"
    found = {}
    for name in _COMPONENTS:
        candidates = [
            Path(folder) / name for folder in os.environ.get("TITANIUM_KUBE_BIN", "").split(os.pathsep) if folder
        ]
        candidates += (
            sorted(cache.rglob(name), key=lambda path: path.stat().st_mtime, reverse=True) if cache.is_dir() else []
        )
        path = next((path for path in candidates if path.is_file() and os.access(path, os.X_OK)), None)
        if path is None:
            raise FileNotFoundError(
                f"{name} is neither in TITANIUM_KUBE_BIN nor below {cache}; "
                "ansible-playbook playbooks/cluster.yml -i inventories/local --tags go_binaries builds it"
            )
        found[name] = path
    return found


def free_port() -> int:
    """Return a port on the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Answer:
    """What the API server answered."""

    status: int
    body: dict[str, Any]


class ControlPlane:
    """The processes.

    Parameters:
        folder: for their state, logs and the kubeconfig.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.kubeconfig = folder / "kubeconfig"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs: list[IO[bytes]] = []
        self._context = ssl.create_default_context()
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE

    def start(self) -> None:
        """Start everything and wait until the API server and the controllers work."""
        binaries = find_binaries()
        client, peer = free_port(), free_port()
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self.folder / "service-account.key").write_bytes(pem)
        (self.folder / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n")
        self._run(
            binaries["etcd"],
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
        )
        self._run(
            binaries["kube-apiserver"],
            f"--etcd-servers=http://127.0.0.1:{client}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={self.folder / 'certificates'}",
            "--service-cluster-ip-range=10.96.0.0/24",
            f"--service-account-key-file={self.folder / 'service-account.key'}",
            f"--service-account-signing-key-file={self.folder / 'service-account.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
        )
        self._write_kubeconfig()
        self._until(lambda: self.request("GET", "/readyz", plain=True).status == 200, "the API server")
        self._run(
            binaries["kube-controller-manager"],
            f"--kubeconfig={self.kubeconfig}",
            f"--service-account-private-key-file={self.folder / 'service-account.key'}",
            "--leader-elect=false",
            f"--secure-port={free_port()}",
            f"--cert-dir={self.folder / 'certificates'}",
            "--use-service-account-credentials=false",
        )
        accounts = "/api/v1/namespaces/default/serviceaccounts/default"
        self._until(lambda: self.request("GET", accounts).status == 200, "the controllers")

    def stop(self) -> None:
        """Stop everything."""
        for process in reversed(self._processes):
            process.kill()
            process.wait()
        for log in self._logs:
            log.close()

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        manager: str = "",
        plain: bool = False,
    ) -> Answer:
        """Return the API server's answer to one request.

        Parameters:
            manager: the field manager under which something is changed.
            plain: whether the answer is text.
        """
        query = f"{'&' if '?' in path else '?'}fieldManager={manager}" if manager else ""
        request = urllib.request.Request(  # noqa: S310 - the URL is ours
            self.url + path + query,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": content_type},
        )
        try:
            with urllib.request.urlopen(request, context=self._context, timeout=30) as answer:  # noqa: S310
                content = answer.read()
                return Answer(answer.status, {} if plain else json.loads(content))
        except urllib.error.HTTPError as error:
            content = error.read()
            return Answer(error.code, {} if plain else json.loads(content))

    def get(self, path: str) -> dict[str, Any]:
        """Return an object that must be there."""
        answer = self.request("GET", path)
        assert answer.status == 200, answer.body
        return answer.body

    def exists(self, path: str) -> bool:
        """Whether an object is there."""
        return self.request("GET", path).status == 200

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object."""
        answer = self.request("POST", path, dict(body))
        assert answer.status == 201, answer.body
        return answer.body

    def patch(self, path: str, body: Any, manager: str = "kubectl-edit") -> dict[str, Any]:
        """Change an object as a person would: with a merge patch under the name of a tool."""
        answer = self.request("PATCH", path, body, content_type="application/merge-patch+json", manager=manager)
        assert answer.status == 200, answer.body
        return answer.body

    def _run(self, program: Path, *arguments: str) -> None:
        log = (self.folder / f"{program.name}.log").open("wb")
        self._logs.append(log)
        self._processes.append(subprocess.Popen([program, *arguments], stdout=log, stderr=log))

    def _until(self, check: Any, what: str) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for process in self._processes:
                if process.poll() is not None:
                    name = Path(str(process.args[0])).name  # type: ignore[index]
                    raise RuntimeError(f"{name} ended: {(self.folder / f'{name}.log').read_text()[-2000:]}")
            try:
                if check():
                    return
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.1)
        raise TimeoutError(f"{what} did not start within 60 s")

    def _write_kubeconfig(self) -> None:
        self.kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "test", "cluster": {"server": self.url, "insecure-skip-tls-verify": True}}],
                    "users": [{"name": "admin", "user": {"token": TOKEN}}],
                    "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
                    "current-context": "test",
                }
            )
        )
        self.kubeconfig.chmod(0o600)
