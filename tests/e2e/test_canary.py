"""A canary goes on by itself when it is good, and back by itself when it is not; with Argo CD as without. Its commits: test_gitops.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.harness.load import Load

from .conftest import EDGE, kubectl, playbook, well
from .mesh import NAMESPACE

BROKEN = {"AUTH_SERVICE_URL": "http://auth-service:1"}
"""It starts and says that it is ready, but every write fails: it does not find who has the keys."""


def variables(weights: list[int], **more: object) -> dict[str, object]:
    """Return what a quick canary is told."""
    return {"canary_weights": weights, "canary_seconds": 10, "canary_start_seconds": 45, **more}


def canary(environment: dict[str, str], weights: list[int]) -> tuple[int, str]:
    """Run the playbook for a version that differs in its environment; return its end and its output in one line."""
    run = playbook("playbooks/canary.yml", "-e", json.dumps(variables(weights, canary_environment=environment)))
    return run.returncode, run.words


def routes() -> list[dict[str, Any]]:
    """Return how requests go to blog-service."""
    found: dict[str, Any] = json.loads(kubectl("-n", NAMESPACE, "get", "virtualservice", "blog-service", "-o", "json"))
    result: list[dict[str, Any]] = found["spec"]["http"]
    return result


def nothing_is_left() -> None:
    """All readers have the one version again."""
    assert (
        kubectl("-n", NAMESPACE, "get", "deployment", "blog-service-canary", "--ignore-not-found", "-o", "name") == ""
    )
    assert {destination["destination"]["subset"] for route in routes() for destination in route["route"]} == {"stable"}
    # Argo CD is not paused any more, and content.
    well()


def broken_one_is_rolled_back() -> None:
    """Few of the requests fail meanwhile."""
    with Load(EDGE, reads=40, writes=8) as load:
        code, output = canary(BROKEN, [5, 50])
        nothing_is_left()
    print("\n" + load.report("a broken canary"))
    assert code != 0
    assert "was rolled back; all readers have the old version" in output, output
    assert len(load.failures) < 0.01 * load.total, "\n".join(load.failures[:20])


def test_broken_version_is_rolled_back() -> None:
    broken_one_is_rolled_back()


@pytest.mark.slow
def test_version_that_never_gets_ready_sees_no_reader() -> None:
    with Load(EDGE) as load:
        code, output = canary({"DATABASE_NAME": "nowhere"}, [5])
        nothing_is_left()
    print("\n" + load.report("a canary that never gets ready"))
    assert code != 0
    assert "was rolled back" in output, output
    assert not load.failures, "\n".join(load.failures[:20])


def test_good_version_goes_on() -> None:
    with Load(EDGE) as load:
        code, output = canary({"LOG_LEVEL": "warning"}, [10, 50])
        nothing_is_left()
    print("\n" + load.report("a good canary"))
    assert code == 0, output
    assert "was good with 50 % of the requests" in output
    assert not load.failures, "\n".join(load.failures[:20])
