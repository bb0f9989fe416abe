"""Logs, from outside: from a request's identifier to its lines in every service; none lost and none twice, whatever restarts."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx
import pytest

from scripts.logs.loki import Line, ask_cluster, find, logql
from tests.e2e.conftest import EDGE, KUBECONFIG, ROOT, kubectl, monitoring_has

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APPLICATION = "titanium-prod"
NAMESPACE = "logs-test"
RUN = secrets.token_hex(3)
"""Part of pods' names: lines of an earlier run are still there."""
ASK = ask_cluster([str(Path(sys.executable).parent / "kubectl"), "--kubeconfig", str(KUBECONFIG)], "monitoring")

POD_LOGS = Path("/var/log/titanium/pods")
PODS = 5
LINES = 20_000
"""What each pod prints. The first one's lines are long, so that the kubelet rotates its file under the collector's eyes."""

WRITER = """
apiVersion: v1
kind: Pod
metadata: {{name: "{name}", namespace: {namespace}, labels: {{app: writer}}}}
spec:
  automountServiceAccountToken: false
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  securityContext: {{runAsNonRoot: true, runAsUser: 10001, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
    - name: writer
      image: {image}
      command: [python3, -c, {script}]
      securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
---
"""
NUMBERED = """
import sys, time
padding = "x" * {padding}
for number in range({lines}):
    print(f"number {{number}} {{padding}}")
    if number % 100 == 99:
        sys.stdout.flush()
        time.sleep(0.3)
time.sleep(600)
"""
TIMED = """
import time
for number in range(20):
    print(f"printed at {time.time()}", flush=True)
    time.sleep(1.3)
time.sleep(600)
"""


@pytest.fixture(scope="module", autouse=True)
def kept() -> None:
    """The platform keeps its logs only where titanium_logs is true."""
    if not monitoring_has("loki"):
        pytest.skip("no Loki in this platform (titanium_logs)")


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    """A namespace for pods that print."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    kubectl("create", "namespace", NAMESPACE)
    try:
        yield NAMESPACE
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")


def write(namespace: str, scripts: dict[str, str]) -> None:
    """Start a pod for each script, and wait until they run."""
    image = kubectl(
        "-n",
        APPLICATION,
        "get",
        "deployment",
        "user-service",
        "-o",
        "jsonpath={.spec.template.spec.containers[0].image}",
    )
    pods = [
        WRITER.format(name=name, namespace=namespace, image=image, script=json.dumps(script))
        for name, script in scripts.items()
    ]
    kubectl("apply", "-f", "-", stdin="".join(pods))
    kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod", "--selector=app=writer", "--timeout=60s")


def lines(query: str, since: int = 900, limit: int = 1000) -> list[Line]:
    """Return what Loki has."""
    now = time.time_ns()
    return find(ASK, query, now - since * 10**9, now + 10**9, limit)


def until(query: str, enough: Callable[[list[Line]], bool], seconds: float = 60) -> list[Line]:
    """Ask until what comes back is enough, and return it."""
    deadline = time.monotonic() + seconds
    while True:
        found = lines(query)
        if enough(found):
            return found
        assert time.monotonic() < deadline, f"{query}: after {seconds} s there is {[line.text for line in found]}"
        time.sleep(0.5)


def test_from_a_failing_request_to_its_lines_in_every_service() -> None:
    wrong = {"username": "nobody", "password": "wrong-password"}
    answer = httpx.post(f"{EDGE}/api/login", json=wrong, timeout=10)
    assert answer.status_code == 401
    request = answer.headers["x-request-id"]
    wanted = {"api-gateway", "auth-service", "user-service"}
    query = f'{{namespace="{APPLICATION}"}} | request_id="{request}"'
    found = until(query, lambda found: {line.label("service") for line in found} >= wanted)
    trace = {json.loads(line.text)["trace_id"] for line in found}
    assert len(trace) == 1
    for line in found:
        entry = json.loads(line.text)
        assert entry["request_id"] == line.label("request_id") == request
        assert line.label("trace_id") == entry["trace_id"]
        assert line.label("level") == entry["level"]
        assert line.label("service") == entry["service"] == line.label("container")
        assert line.label("namespace") == APPLICATION
        assert line.label("pod").startswith(f"{entry['service']}-")
    # The same by the documented command, in the order of time.
    command = [sys.executable, "-m", "scripts.logs", "--request", request]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert printed.returncode == 0, printed.stderr
    rows = printed.stdout.splitlines()
    # Two of one millisecond stand in either order.
    times = [row[: len("2026-01-01 00:00:00.000")] for row in rows]
    assert times == sorted(times)
    for service in wanted:
        assert any(service in row and request in row for row in rows), printed.stdout
    assert any("status=401" in row for row in rows), printed.stdout


def test_the_collector_does_not_collect_itself() -> None:
    assert not lines('{namespace="kube-system", service="otel-collector"}', since=3600)


def test_seconds_from_print_to_query(namespace: str) -> None:
    write(namespace, {f"timed-{RUN}": TIMED})
    seen: dict[float, float] = {}
    deadline = time.monotonic() + 90
    while len(seen) < 20:
        assert time.monotonic() < deadline, f"only {len(seen)} lines within 90 s"
        found = lines(logql({"namespace": namespace, "pod": f"timed-{RUN}"}, ["printed at"]))
        now = time.time()
        for line in found:
            seen.setdefault(float(line.text.rpartition(" ")[2]), now)
        time.sleep(0.1)
    took = [when - printed for printed, when in seen.items()]
    # The first waits for the file to be found as well.
    print(f"\nfrom print to query: median {statistics.median(took):.1f} s, longest {max(took):.1f} s")
    assert max(took) < 15


def kill_collectors() -> int:
    """Kill this machine's collectors as a lack of memory would, and return how many there were."""
    killed = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().split(b"\0")
            if b"--config=/etc/otel-collector/otel-collector.yaml" in command:
                os.kill(int(path.parent.name), signal.SIGKILL)
                killed += 1
        except (FileNotFoundError, ProcessLookupError):
            continue
    return killed


def test_every_line_arrives_once_through_restarts(namespace: str) -> None:
    """Of 100,000 numbered lines of several pods none is lost and none is there twice, while collector and Loki restart."""
    started = time.monotonic()
    pods = print_numbers(namespace, "restarts")
    time.sleep(10)
    kubectl("-n", "kube-system", "rollout", "restart", "daemonset", "otel-collector")
    kubectl("-n", "kube-system", "rollout", "status", "daemonset", "otel-collector", "--timeout=90s")
    time.sleep(5)
    kubectl("-n", "monitoring", "delete", "pod", "loki-0", "--wait=false")
    time.sleep(10)
    kubectl("-n", "monitoring", "rollout", "status", "statefulset", "loki", "--timeout=120s")
    numbers_arrive(namespace, pods, started)
    assert list(POD_LOGS.glob(f"{namespace}_{pods[0]}_*/writer/*.log.*")), "the file was not rotated"
    # And as Loki counts.
    assert sum(count_of(namespace, pod) for pod in pods) == PODS * LINES


@pytest.mark.slow
def test_every_line_arrives_when_the_collector_is_killed(namespace: str) -> None:
    """The same when it gets no time to say goodbye, twice: what it sends again is shown once."""
    started = time.monotonic()
    pods = print_numbers(namespace, "killed")
    for _ in range(2):
        time.sleep(15)
        assert kill_collectors() >= 1
    kubectl("-n", "kube-system", "rollout", "status", "daemonset", "otel-collector", "--timeout=90s")
    numbers_arrive(namespace, pods, started)
    more = sum(count_of(namespace, pod) for pod in pods) - PODS * LINES
    print(f"counted more than once after two kills: {more}")
    assert 0 <= more < PODS * LINES / 100


def print_numbers(namespace: str, name: str) -> list[str]:
    """Start pods that print numbered lines for a minute, and return their names."""
    scripts = {
        f"{name}-{RUN}-{pod}": NUMBERED.format(lines=LINES, padding=1500 if pod == 0 else 60) for pod in range(PODS)
    }
    write(namespace, scripts)
    return list(scripts)


def numbers_arrive(namespace: str, pods: list[str], started: float) -> None:
    """Wait until every line is there; see that none is there twice."""
    restarted = time.monotonic() - started
    deadline = time.monotonic() + 200
    while True:
        counts = {
            pod: Counter(
                int(match[1])
                for line in lines(logql({"namespace": namespace, "pod": pod}, ["number "]), limit=LINES * 2)
                if (match := re.match(r"number (\d+) ", line.text))
            )
            for pod in pods
        }
        missing = {pod: LINES - len(counts[pod]) for pod in pods}
        if not any(missing.values()):
            break
        assert time.monotonic() < deadline, f"missing after {time.monotonic() - started:.0f} s: {missing}"
        time.sleep(3)
    took = time.monotonic() - started
    print(f"\nlast restart within {restarted:.0f} s; all {PODS * LINES} lines found {took:.0f} s after the first")
    twice = {pod: [number for number, count in counts[pod].items() if count > 1][:10] for pod in pods}
    assert not any(twice.values()), twice


def count_of(namespace: str, pod: str) -> int:
    """Return how many lines Loki counts."""
    query = f'sum(count_over_time({{namespace="{namespace}", pod="{pod}"}} |= "number " [30m]))'
    answer = json.loads(ASK(f"/loki/api/v1/query?{urlencode({'query': query})}"))
    return int(answer["data"]["result"][0]["value"][1])
