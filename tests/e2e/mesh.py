"""Calls from inside the mesh, made by the callers themselves."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .conftest import KUBECONFIG, kubectl

NAMESPACE = "titanium-prod"

# Runs in a caller's own container: makes each call of a JSON list on standard input and prints what came of it.
CALLER = r"""
import http.client, json, socket, sys

def over_http(call):
    connection = http.client.HTTPConnection(call["host"], call["port"], timeout=10)
    connection.request(call["method"], call["path"], headers=call.get("headers", {}))
    answer = connection.getresponse()
    body = answer.read().decode(errors="replace")
    return "denied" if answer.status == 403 and "RBAC" in body else str(answer.status)

def over_tcp(call):
    with socket.create_connection((call["host"], call["port"]), timeout=10) as connection:
        connection.sendall(bytes.fromhex(call["sends"]))
        return "answered" if connection.recv(1) else "denied"

for call in json.load(sys.stdin):
    try:
        result = over_http(call) if "method" in call else over_tcp(call)
    except OSError as error:
        result = "denied" if "sends" in call else f"refused ({type(error).__name__})"
    except http.client.HTTPException as error:
        result = f"refused ({type(error).__name__})"
    print(result)
"""


@dataclass(frozen=True)
class Call:
    """One request, or for a database the first bytes of its protocol."""

    callee: str
    port: int
    method: str = ""
    path: str = ""
    sends: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def title(self) -> str:
        return f"{self.method} {self.path}" if self.method else "connect"

    def as_dict(self, domain: str) -> dict[str, object]:
        """Return what `CALLER` reads; `domain` is appended to the callee's name."""
        where: dict[str, object] = {"host": self.callee + domain, "port": self.port}
        if self.method:
            return where | {"method": self.method, "path": self.path, "headers": dict(self.headers)}
        return where | {"sends": self.sends}


def pod_of(app: str, namespace: str = NAMESPACE) -> str:
    """Return the name of a running pod of a service."""
    pods = kubectl(
        "-n", namespace, "get", "pods", "-l", f"app={app}", "--field-selector=status.phase=Running", "-o", "name"
    )
    return pods.split()[0].removeprefix("pod/")


def calls_from(pod: str, container: str, calls: list[Call], namespace: str = NAMESPACE) -> list[str]:
    """Make `calls` in a container and return what came of each: `denied`, `refused (...)`, `answered` or a status code."""
    domain = f".{NAMESPACE}.svc.cluster.local"
    wanted = json.dumps([call.as_dict(domain) for call in calls])
    out = kubectl("-n", namespace, "exec", "-i", pod, "-c", container, "--", "python3", "-c", CALLER, stdin=wanted)
    answers = out.splitlines()
    assert len(answers) == len(calls), out
    return answers


def connected_proxies() -> int:
    """Return how many proxies are connected to the control plane, by its own metrics."""
    istiod = pod_of("istiod", "istio-system")
    metrics = kubectl("get", "--raw", f"/api/v1/namespaces/istio-system/pods/http:{istiod}:15014/proxy/metrics")
    return sum(int(float(line.split()[-1])) for line in metrics.splitlines() if line.startswith("pilot_xds{"))


def running_proxies() -> int:
    """Return how many pods that are to stay have a proxy."""
    pods = json.loads(kubectl("get", "pods", "-A", "--field-selector=status.phase=Running", "-o", "json"))["items"]
    return sum(
        "deletionTimestamp" not in pod["metadata"]
        and "istio-proxy" in {c["name"] for c in [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]}
        for pod in pods
    )


def newest_istioctl() -> Path:
    """Return the newest istioctl that was built."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "titanium/bin/istio"
    return max(cache.glob("*/istioctl"), key=lambda path: path.stat().st_mtime)


def istioctl(*arguments: str) -> str:
    """Run the newest istioctl that was built and return what it printed."""
    process = subprocess.run(
        [newest_istioctl(), *arguments],
        env={**os.environ, "KUBECONFIG": str(KUBECONFIG)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout
