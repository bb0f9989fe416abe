"""More pods under load, and fewer again when it is over; nobody notices."""

from __future__ import annotations

import contextlib
import time

import pytest

from tests.harness.load import Load

from .conftest import EDGE, kubectl
from .mesh import NAMESPACE

SERVICE = "api-gateway"
# Reads a second that one step adds, and how many steps there are.
READS = 300
STEPS = 4


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


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_load_makes_more_pods_and_its_end_fewer() -> None:
    before = replicas()
    assert before >= 2
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        loads: list[Load] = []
        # How much it takes depends on the machine: 300 reads a second were enough for some (docs/mesh.md), and 600 for faster ones.
        while replicas() <= before:
            assert len(loads) < STEPS, f"no more pods with {len(loads) * READS} reads a second"
            loads.append(stack.enter_context(Load(EDGE, reads=READS, writes=0, new_connections=False)))
            within = time.monotonic() + 75
            while replicas() <= before and time.monotonic() < within:
                time.sleep(1)
        out = time.monotonic() - begin
        time.sleep(20)
        print(
            f"\n{SERVICE}: {before} pods, {replicas()} after {out:.0f} s of up to {len(loads) * READS} reads a second"
        )
        for load in loads:
            print(load.report(f"{READS} reads a second"))
            assert not load.failures, "\n".join(load.failures[:20])
    with Load(EDGE, reads=10, writes=1) as calm:
        back = wait_for("as few as before", 400, lambda: replicas() <= before)
        print(f"back to {replicas()} after {back:.0f} s; {calm.report('10 reads a second')}")
        assert not calm.failures, "\n".join(calm.failures[:20])
