"""Breaks the running local platform, one part at a time, and sees which alert arrives at a webhook, when, and that it resolves.

    make alerts-drill [ARGS='postgresql cpu']

Alertmanager is configured as an operator would (`prometheus_receivers`) with a receiver of this script, and set back at the end.
Readers are at work all the time. Prints a table in Markdown; ends with 1 if an alert was late, did not resolve or was not alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx

from tests.e2e.conftest import EDGE, by_hand, kubectl, monitoring_has, playbook
from tests.e2e.mesh import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The node's own address, which pods reach.
RECEIVER = ("172.30.255.1", 9099)
ALERTMANAGER = "http://127.0.0.1:30093"
MONITORING = "monitoring"
# How often readers ask, in seconds.
READING_INTERVAL = 0.25
# What an alert takes beside its own `for`, in seconds: a pod's end, a scrape, an evaluation and Alertmanager's wait for others of the
# group are 30 each, and a moment for the ways between.
OVERHEAD = 135
# How long an alert may take to resolve once all is well, in seconds: the expression's window, a scrape, an evaluation, the group.
RESOLVED = 900


@dataclass(frozen=True)
class Told:
    """One alert of one notification: when it arrived (`time.monotonic`), its labels, and whether it fires or is resolved."""

    at: float
    labels: dict[str, str]
    status: str

    @property
    def name(self) -> str:
        """Return the alert's name, with its window if it has one."""
        window = self.labels.get("window")
        return self.labels["alertname"] + (f" ({window})" if window else "")


@dataclass
class Receiver:
    """A webhook that remembers what it is told."""

    told: list[Told] = field(default_factory=list)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Listen on `RECEIVER` while the context lasts."""
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                now = time.monotonic()
                told.extend(Told(now, alert["labels"], alert["status"]) for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        server = ThreadingHTTPServer(RECEIVER, Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()

    def first(self, alert: str, status: str, since: float, labels: dict[str, str]) -> Told | None:
        """Return the first time it was told of `alert` with these labels after `since`, if it was."""
        for told in list(self.told):
            wanted = told.labels["alertname"] == alert and labels.items() <= told.labels.items()
            if wanted and told.status == status and told.at >= since:
                return told
        return None


@dataclass
class Readers:
    """Reads the blog all the time and counts what failed."""

    asked: int = 0
    failed: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Read until `stopping` is set."""
        with httpx.Client(timeout=10) as client:
            while not self.stopping.wait(READING_INTERVAL):
                self.asked += 1
                try:
                    failed = client.get(f"{EDGE}/blog/").status_code >= 500
                except httpx.TransportError:
                    failed = True
                self.failed += failed


def scale(kind: str, name: str, namespace: str, replicas: int) -> None:
    """Set how many pods there are and wait until there are."""
    kubectl("-n", namespace, "scale", kind, name, f"--replicas={replicas}")
    kubectl("-n", namespace, "rollout", "status", kind, name, "--timeout=180s")


@contextlib.contextmanager
def without(kind: str, name: str, namespace: str) -> Iterator[None]:
    """Have no pod of a workload."""
    scale(kind, name, namespace, 0)
    try:
        yield
    finally:
        scale(kind, name, namespace, 1)


@contextlib.contextmanager
def busy_processors() -> Iterator[None]:
    """Have more work than processors."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(6)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@contextlib.contextmanager
def answers_500() -> Iterator[None]:
    """Answer one request in two from the gateway to blog-service with 500, as Istio injects faults."""
    service = json.loads(kubectl("-n", NAMESPACE, "get", "virtualservice", "blog-service", "-o", "json"))
    good = service["spec"]["http"]
    fault = {"abort": {"httpStatus": 500, "percentage": {"value": 50}}}

    def set_routes(routes: list[dict[str, Any]]) -> None:
        patch = json.dumps([{"op": "replace", "path": "/spec/http", "value": routes}])
        kubectl("-n", NAMESPACE, "patch", "virtualservice", "blog-service", "--type=json", "-p", patch)

    with by_hand():
        set_routes([route | {"fault": fault} for route in good])
        try:
            yield
        finally:
            set_routes(good)


QUOTA = """
apiVersion: v1
kind: Namespace
metadata: {name: drill}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: disk, namespace: drill}
spec: {hard: {requests.storage: 10Mi}}
"""
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: claim-{number}, namespace: drill}}
spec:
  accessModes: [ReadWriteOnce]
  resources: {{requests: {{storage: 8Mi}}}}
"""


@contextlib.contextmanager
def full_quota() -> Iterator[None]:
    """Ask again and again for more disk than a namespace may have."""
    kubectl("apply", "-f", "-", stdin=QUOTA)
    stopping = threading.Event()

    def ask() -> None:
        number = 0
        while not stopping.wait(5):
            kubectl("apply", "-f", "-", stdin=CLAIM.format(number=number), check=False)
            number += 1

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
        kubectl("delete", "namespace", "drill", "--wait=true")


@dataclass(frozen=True)
class Drill:
    """What is broken, and the alert that is to tell of it within `bound` seconds."""

    name: str
    what: str
    alert: str
    bound: int
    breaks: Callable[[], contextlib.AbstractContextManager[None]]
    labels: dict[str, str] = field(default_factory=dict)
    needs: str = "prometheus-prometheus"


# In this order: what burns the error budget comes last, since the slower windows remember it for hours.
DRILLS = (
    Drill("quota", "a namespace asks for more disk than its quota", "QuotaExhausted", 60 + OVERHEAD, full_quota),
    Drill("loki", "no Loki", "LokiDown", 120 + OVERHEAD, lambda: without("statefulset", "loki", MONITORING),
          needs="loki"),
    # The mean of five minutes must be high for five minutes.
    Drill("cpu", "six busy loops on the node", "NodeCpuSaturated", 600 + OVERHEAD, busy_processors),
    Drill("postgresql", "no PostgreSQL", "PostgresqlDown", 60 + OVERHEAD, lambda: without("statefulset", "postgresql", NAMESPACE)),
    Drill("errors", "half of what blog-service is asked answered with 500", "AvailabilityBudgetBurn", OVERHEAD + 60, answers_500,
          labels={"window": "1h", "journey": "read"}),
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How a drill went; times in seconds, None where it did not happen in time."""

    drill: Drill
    fired: float | None
    resolved: float | None
    others: list[str]
    failed: int

    @property
    def passed(self) -> bool:
        """Whether the alert came in time, alone, and went."""
        return (
            self.fired is not None and self.fired <= self.drill.bound and self.resolved is not None and not self.others
        )

    @property
    def row(self) -> str:
        """Return a row of the table."""
        fired = "never" if self.fired is None else f"{self.fired:.0f} s"
        resolved = "never" if self.resolved is None else f"{self.resolved:.0f} s"
        return (
            f"| {self.drill.what} | {self.drill.alert} | {self.drill.bound} s | {fired} | {resolved} "
            f"| {', '.join(self.others) or 'none'} | {self.failed} |"
        )


def firing() -> set[str]:
    """Return the names of what Alertmanager tells people at the moment."""
    alerts = httpx.get(f"{ALERTMANAGER}/api/v2/alerts", params={"active": True, "inhibited": False}, timeout=10).json()
    return {Told(0, alert["labels"], "firing").name for alert in alerts}


def wait_for(receiver: Receiver, drill: Drill, status: str, since: float, timeout: float) -> float | None:
    """Wait until the receiver is told; return after how many seconds it was, or None."""
    while time.monotonic() < since + timeout:
        told = receiver.first(drill.alert, status, since, drill.labels)
        if told:
            return told.at - since
        time.sleep(1)
    return None


def run(drill: Drill, receiver: Receiver, readers: Readers) -> Outcome:
    """Break it, wait for the alert, mend it, wait until it is resolved."""
    before = firing()
    failed = readers.failed
    print(f"{drill.name}: {drill.what}; waiting for {drill.alert}, {drill.bound} s at most", flush=True)
    started = time.monotonic()
    with drill.breaks():
        fired = wait_for(receiver, drill, "firing", started, drill.bound + 300)
        print(f"{drill.name}: told after {fired} s, mending" if fired else f"{drill.name}: never told", flush=True)
    mended = time.monotonic()
    resolved = wait_for(receiver, drill, "resolved", mended, RESOLVED) if fired else None
    print(f"{drill.name}: resolved after {resolved} s", flush=True)
    told = {told.name for told in receiver.told if told.at >= started and told.status == "firing"}
    mine = {told.name for told in receiver.told if told.labels["alertname"] == drill.alert}
    return Outcome(drill, fired, resolved, sorted(told - before - mine - {"Watchdog"}), readers.failed - failed)


def configure(*, receiver: bool) -> None:
    """Have Alertmanager tell this script, or as the inventory says."""
    variables: dict[str, Any] = {"titanium_metrics": True}
    if receiver:
        url = f"http://{RECEIVER[0]}:{RECEIVER[1]}/"
        variables |= {
            "prometheus_receivers": [{"name": "drill", "webhook_configs": [{"url": url, "send_resolved": True}]}],
            "prometheus_group_interval": "30s",
        }
    done = playbook("site.yml", "--tags", "metrics", "-e", json.dumps(variables))
    if done.returncode != 0:
        sys.exit(f"the receiver could not be configured:\n{done.output}")


def main() -> int:
    """Run the drills that were asked for and print the table."""
    parser = argparse.ArgumentParser(description="Break the local platform and see which alert tells of it.")
    parser.add_argument(
        "drills", nargs="*", metavar="DRILL", help=f"any of {', '.join(d.name for d in DRILLS)}; none means all"
    )
    wanted = parser.parse_args().drills or [drill.name for drill in DRILLS]
    unknown = set(wanted) - {drill.name for drill in DRILLS}
    if unknown:
        parser.error(f"there is no drill {', '.join(sorted(unknown))}; there are {', '.join(d.name for d in DRILLS)}")
    if not monitoring_has("prometheus-prometheus"):
        sys.exit("no Prometheus in this platform; mend: titanium_metrics: true in the inventory, and make up")

    receiver, readers = Receiver(), Readers()
    outcomes = []
    with receiver.listening():
        configure(receiver=True)
        threading.Thread(target=readers.run, daemon=True).start()
        try:
            for drill in DRILLS:
                if drill.name not in wanted:
                    continue
                if not monitoring_has(drill.needs):
                    print(f"{drill.name}: left out, this platform has none")
                    continue
                outcomes.append(run(drill, receiver, readers))
        finally:
            readers.stopping.set()
            configure(receiver=False)

    print("\n| broken | alert | bound | told after | resolved after mending | others told | failed reads |")
    print("|---|---|---|---|---|---|---|")
    for outcome in outcomes:
        print(outcome.row)
    return 0 if all(outcome.passed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
