"""More pods under load, and fewer again when it is over; nobody notices."""

from __future__ import annotations

import time

import pytest

from tests.harness.load import Load

from .conftest import EDGE, kubectl
from .mesh import NAMESPACE

SERVICE = "api-gateway"


def replicas() -> int:
    """Return how many pods of the service are ready."""
    ready = kubectl("-n", NAMESPACE, "get", "deployment", SERVICE, "-o", "jsonpath={.status.readyReplicas}")
    return int(ready or 0)


def wait_for(what: str, limit: float, reached: object) -> float:
    """Wait until `reached()`; return how long it took, in seconds."""
    assert callable(reached)
    begin = time.monotonic()
    while not reached():
        assert time.monotonic() - begin < limit, f"not {what} within {limit} s: {replicas()} pods"
        time.sleep(1)
    return time.monotonic() - begin


@pytest.mark.timeout(900)
def test_load_makes_more_pods_and_its_end_fewer() -> None:
    before = replicas()
    assert before >= 2
    with Load(EDGE, reads=300, writes=0, new_connections=False) as load:
        # 38 s on an idle machine (docs/mesh.md); a busy one is slower, and is no failure of the autoscaler's.
        out = wait_for("more pods", 240, lambda: replicas() > before)
        time.sleep(20)
        print(f"\n{SERVICE}: {before} pods, {replicas()} after {out:.0f} s; {load.report('300 reads a second')}")
        assert not load.failures, "\n".join(load.failures[:20])
    with Load(EDGE, reads=10, writes=1) as calm:
        back = wait_for("as few as before", 400, lambda: replicas() <= before)
        print(f"back to {replicas()} after {back:.0f} s; {calm.report('10 reads a second')}")
        assert not calm.failures, "\n".join(calm.failures[:20])
