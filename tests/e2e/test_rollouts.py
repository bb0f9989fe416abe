"""What is planned drops no request: restarts, evictions, a new number of pods, the mesh's own parts.

What is not planned (a pod or a process killed) costs at most writes that were under way on it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.harness.load import Load

from .conftest import EDGE, KUBECONFIG, by_hand, kubectl
from .mesh import NAMESPACE, connected_proxies, pod_of, running_proxies

SERVICES = ("api-gateway", "auth-service", "user-service", "blog-service")


def rolled_out(namespace: str, what: str) -> None:
    """Wait for a rollout; longer than `kubectl` in the other tests may take."""
    command = [str(Path(sys.executable).parent / "kubectl"), "--kubeconfig", str(KUBECONFIG), "-n", namespace]
    subprocess.run(
        [*command, "rollout", "status", what, "--timeout=300s"], check=True, capture_output=True, timeout=320
    )


def settle(load: Load, title: str) -> None:
    """Keep up the load for a moment, then say what came of it; nothing may have failed."""
    time.sleep(5)
    print("\n" + load.report(title))
    assert load.total > 100
    assert not load.failures, "\n".join(load.failures[:20])


@pytest.mark.parametrize("service", SERVICES)
def test_restart_of_a_service(service: str) -> None:
    with Load(EDGE) as load:
        kubectl("-n", NAMESPACE, "rollout", "restart", "deployment", service)
        rolled_out(NAMESPACE, f"deployment/{service}")
        settle(load, f"rolling restart of {service}")


def test_restart_of_the_gateway() -> None:
    with Load(EDGE) as load:
        kubectl("-n", "istio-system", "rollout", "restart", "deployment", "istio-ingressgateway")
        rolled_out("istio-system", "deployment/istio-ingressgateway")
        settle(load, "rolling restart of the ingress gateway")


def test_loss_of_the_control_plane() -> None:
    """Proxies go on with what they know."""
    [name] = kubectl("-n", "istio-system", "get", "deployments", "-l", "app=istiod", "-o", "name").split()
    replicas = kubectl("-n", "istio-system", "get", name, "-o", "jsonpath={.spec.replicas}")
    with Load(EDGE) as load:
        try:
            kubectl("-n", "istio-system", "scale", name, "--replicas=0")
            time.sleep(30)
        finally:
            kubectl("-n", "istio-system", "scale", name, f"--replicas={replicas}")
        rolled_out("istio-system", name)
        settle(load, "30 s without a control plane")
    # They come back at moments of their own, within half a minute, and until then know of no change.
    deadline = time.monotonic() + 90
    while (connected := connected_proxies()) < (running := running_proxies()):
        assert time.monotonic() < deadline, f"{connected} of {running} proxies are back after 90 s"
        time.sleep(1)


@pytest.mark.parametrize("service", SERVICES)
def test_eviction_of_a_pod(service: str) -> None:
    """As `kubectl drain` does it: by the eviction API, which asks the disruption budget."""
    with Load(EDGE) as load:
        pods = json.loads(kubectl("-n", NAMESPACE, "get", "pods", "-l", f"app={service}", "-o", "json"))["items"]
        name = pods[0]["metadata"]["name"]
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": NAMESPACE}}
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/eviction"
        kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
        rolled_out(NAMESPACE, f"deployment/{service}")
        settle(load, f"eviction of a pod of {service}")


def test_scaling_out_and_in() -> None:
    """By the autoscaler's own means: its bounds are moved, and it follows."""
    bounds = {"minReplicas": 3}, {"minReplicas": 2}
    with by_hand(), Load(EDGE) as load:
        try:
            kubectl("-n", NAMESPACE, "patch", "hpa", "blog-service", "-p", json.dumps({"spec": bounds[0]}))
            deadline = time.monotonic() + 60
            while (
                kubectl("-n", NAMESPACE, "get", "deployment", "blog-service", "-o", "jsonpath={.status.readyReplicas}")
                < "3"
            ):
                assert time.monotonic() < deadline, "the autoscaler did not follow within 60 s"
                time.sleep(1)
        finally:
            kubectl("-n", NAMESPACE, "patch", "hpa", "blog-service", "-p", json.dumps({"spec": bounds[1]}))
        settle(load, "one more pod of blog-service")


def only_writes_failed(load: Load, title: str) -> None:
    """Reads are repeated elsewhere; a write that was under way is refused with a status that says so, and not lost in silence."""
    time.sleep(5)
    print("\n" + load.report(title), load.failures[:3])
    assert load.total > 100
    reads = [failure for failure in load.failures if " POST " not in failure]
    assert not reads, "\n".join(reads[:20])
    silent = [failure for failure in load.failures if " POST " in failure and not re.search(": 50[234] ", failure)]
    assert not silent, "\n".join(silent[:20])
    # Half of the writes of the two seconds or so until it is back, or left out.
    assert len(load.failures) <= 20, "\n".join(load.failures[:20])


@pytest.mark.parametrize("service", SERVICES)
def test_death_of_a_pod(service: str) -> None:
    with Load(EDGE) as load:
        kubectl("-n", NAMESPACE, "delete", "pod", pod_of(service), "--grace-period=0", "--force")
        rolled_out(NAMESPACE, f"deployment/{service}")
        only_writes_failed(load, f"a pod of {service} killed")


@pytest.mark.parametrize("service", SERVICES)
def test_death_of_a_process(service: str) -> None:
    """The container is started again below a proxy that lives on."""
    with Load(EDGE) as load:
        command = ["python3", "-m", service.replace("-", "_")]
        victim = next(process for process in psutil.process_iter() if process.cmdline() == command)
        victim.kill()
        time.sleep(1)
        rolled_out(NAMESPACE, f"deployment/{service}")
        only_writes_failed(load, f"kill -9 of {service}")
