"""Traces, from outside: from a request that failed to its lines in every service, to its trace, to that trace's spans of each of them."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode

import httpx
import pytest

from scripts.logs.loki import ask_cluster as ask_loki_by
from scripts.logs.loki import find
from scripts.traces.jaeger import Span, ask_cluster, spans, tree, walk
from tests.e2e.conftest import EDGE, KUBECONFIG, ROOT, monitoring_has

if TYPE_CHECKING:
    from collections.abc import Callable

Found = TypeVar("Found")

APPLICATION = "titanium-prod"
KUBECTL = [str(Path(sys.executable).parent / "kubectl"), "--kubeconfig", str(KUBECONFIG)]
ASK = ask_cluster(KUBECTL, "monitoring")
ASK_LOKI = ask_loki_by(KUBECTL, "monitoring")
WAIT = 60
"""Seconds: a second until a service sends its spans, ten until it is decided that they are kept, and some on a busy machine."""


@pytest.fixture(scope="module", autouse=True)
def kept() -> None:
    """The platform keeps traces only where titanium_traces is true."""
    if not monitoring_has("jaeger"):
        pytest.skip("no Jaeger in this platform (titanium_traces)")


def until(look: Callable[[], Found], enough: Callable[[Found], bool], what: str) -> Found:
    """Look until it is enough, and return what was seen."""
    deadline = time.monotonic() + WAIT
    while True:
        found = look()
        if enough(found):
            return found
        assert time.monotonic() < deadline, f"{what}: after {WAIT} s there is {found}"
        time.sleep(0.5)


def trace_of(request: str, services: set[str]) -> str:
    """Return the trace that the lines of a request name, which every one of these services printed."""
    query = f'{{namespace="{APPLICATION}"}} | request_id="{request}"'

    def look() -> dict[str, str]:
        now = time.time_ns()
        lines = find(ASK_LOKI, query, now - 900 * 10**9, now + 10**9, 100)
        return {line.label("service"): json.loads(line.text)["trace_id"] for line in lines}

    found = until(look, lambda found: found.keys() >= services, query)
    assert len(set(found.values())) == 1, found
    return found.popitem()[1]


def spans_of(trace: str, services: set[str]) -> list[Span]:
    """Return a trace's spans once each of these services has sent its own."""
    return until(
        lambda: spans(ASK(f"/api/traces/{trace}")),
        lambda found: {span.service for span in found} >= services,
        f"trace {trace}",
    )


def test_from_a_failing_request_to_its_trace_in_every_service() -> None:
    started = time.monotonic()
    wrong = {"username": "nobody", "password": "wrong-password"}
    answer = httpx.post(f"{EDGE}/api/login", json=wrong, timeout=10)
    assert answer.status_code == 401
    request = answer.headers["x-request-id"]
    services = {"api-gateway", "auth-service", "user-service"}
    trace = trace_of(request, services)
    found = spans_of(trace, services)
    print(f"\nfrom the answer to its trace: {time.monotonic() - started:.1f} s")
    # Who called whom, and each span with what its service answered.
    [root] = tree(found)
    assert [(depth, span.service, span.name) for depth, span in walk([root])] == [
        (0, "api-gateway", "POST /api/login"),
        (1, "auth-service", "POST /login"),
        (2, "user-service", "POST /internal/verify-credentials"),
    ]
    assert [str(span.attributes["http.response.status_code"]) for _, span in walk([root])][:2] == ["401", "401"]
    assert not any(span.failed for span in found)
    # The same by the documented command.
    command = [sys.executable, "-m", "scripts.traces", "--request", request, "--wait", "10s"]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert printed.returncode == 0, printed.stderr
    rows = printed.stdout.splitlines()
    assert rows[0] == f"trace {trace}"
    assert [row.split()[0] for row in rows[1:]] == ["api-gateway", "auth-service", "user-service"]
    assert rows[1].endswith("  401")


def test_a_callers_trace_goes_on_through_the_blog() -> None:
    trace, parent = f"{time.time_ns():032x}", f"{time.time_ns():016x}"
    answer = httpx.get(
        f"{EDGE}/blog/api/posts/999999999", headers={"traceparent": f"00-{trace}-{parent}-01"}, timeout=10
    )
    assert answer.status_code == 404
    found = spans_of(trace, {"api-gateway", "blog-service"})
    [root] = tree(found)
    assert (root.service, root.parent) == ("api-gateway", parent)
    assert [child.service for child in root.children] == ["blog-service"]


def test_what_nobody_will_look_for_is_not_kept() -> None:
    """Of requests that went well a share is kept, told apart by their traces alone; of probes none."""
    now = time.time_ns()
    # Drawn by lot as callers draw them: neighbours are kept or left together. That none of a hundred is kept happens once in 37,000 runs.
    *marked, last = [secrets.token_hex(16) for _ in range(101)]

    def get(path: str, trace: str) -> int:
        return client.get(path, headers={"traceparent": f"00-{trace}-{now:016x}-01"}).status_code

    with httpx.Client(base_url=EDGE, timeout=10) as client:
        assert {get("/blog/api/posts?limit=1", trace) for trace in marked} == {200}
        assert get("/blog/api/posts/999999999", last) == 404
    # Decided about in the order in which they came.
    spans_of(last, {"api-gateway", "blog-service"})
    kept = [trace for trace in marked if spans(ASK(f"/api/traces/{trace}"))]
    print(f"\nof {len(marked)} ordinary traces {len(kept)} were kept")
    assert 0 < len(kept) < len(marked) / 2
    times = {"start": now // 1000 - 900 * 10**6, "end": now // 1000 + 10**7, "limit": 200}
    names = {
        span.name
        for service in ("api-gateway", "auth-service", "user-service", "blog-service")
        for span in spans(ASK(f"/api/traces?{urlencode({'service': service, **times})}"))
    }
    assert names
    assert not [name for name in names if name.endswith(("/health", "/ready", "/metrics", "/stats"))]
