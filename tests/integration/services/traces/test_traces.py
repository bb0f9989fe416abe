"""The way of a trace by what it really goes through: services, the collector and Jaeger, as the roles configure them.

Where the collector is not built the services send to Jaeger themselves, and what is about the collector is skipped.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from scripts.traces.jaeger import Span, ask_url, spans, tree, walk
from tests.harness.processes import Process, free_port
from tests.harness.services import Services, answers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.harness.postgres import Postgres
    from tests.harness.redis import Redis

ROOT = Path(__file__).resolve().parents[4]
PROGRAMS = Path.home() / ".cache/titanium/bin"
ALL = {"api-gateway", "auth-service", "user-service"}

PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.include_vars: {file: "{{ roles }}/{{ item }}/defaults/main.yml"}
      loop: [jaeger, otel_collector]
    - ansible.builtin.include_vars: {file: "{{ roles }}/{{ item }}/vars/main.yml"}
      loop: [jaeger, otel_collector]
    - ansible.builtin.copy:
        content: "{{ {'jaeger': __jaeger_configuration, 'otel-collector': __otel_collector_configuration} | to_json }}"
        dest: "{{ target }}"
        mode: "0600"
"""


def program(name: str) -> Path | None:
    """The newest build of a program; machines without `titanium_traces` and `titanium_logs` have none."""
    return max(PROGRAMS.glob(f"{name}/*/{name}"), key=lambda path: path.stat().st_mtime, default=None)


def configurations(folder: Path, variables: dict[str, Any]) -> dict[str, Any]:
    """Return what the roles configure the programs with."""
    play, target = folder / "play.yml", folder / "configurations.json"
    play.write_text(PLAY)
    given = {"roles": str(ROOT / "roles"), "target": str(target), **variables}
    command = [str(Path(sys.executable).parent / "ansible-playbook"), str(play), "--extra-vars", json.dumps(given)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    content: dict[str, Any] = json.loads(target.read_text())
    return content


def here(configuration: Any, ports: dict[int, int], state: Path) -> str:
    """Return a configuration for a process on this machine, on ports of its own."""
    text = json.dumps(configuration).replace("/var/lib/otel-collector", str(state))
    for port, own in ports.items():
        text = re.sub(rf'"(0[.]0[.]0[.]0|127[.]0[.]0[.]1):{port}"', f'"127.0.0.1:{own}"', text)
    content = json.loads(text)
    reader = content["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"]
    reader |= {"host": "127.0.0.1", "port": free_port()}
    return yaml.safe_dump(content)


@dataclass
class Way:
    """All that a trace passes."""

    services: Services
    collector: Process | None
    jaeger: Process
    ready: partial[bool]
    query: str

    def spans(self, trace: str) -> list[Span]:
        """What Jaeger has of a trace."""
        return spans(ask_url(self.query)(f"/api/traces/{trace}"))

    def until(self, trace: str, services: set[str], seconds: float = 40) -> list[Span]:
        """Wait until Jaeger has spans of each of these services."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.spans(trace)
            if {span.service for span in found} >= services:
                return found
            assert time.monotonic() < deadline, f"after {seconds} s there is {found}\n{self.jaeger.tail()}"
            time.sleep(0.2)

    def log_in(self, **headers: str) -> httpx.Response:
        """Try to, with a wrong password, as somebody else each time: wrong passwords for one account are counted."""
        wrong = {"username": f"nobody-{secrets.token_hex(4)}", "password": "wrong-password"}
        answer = httpx.post(f"{self.services.edge}/api/login", json=wrong, headers=headers, timeout=10)
        assert answer.status_code == 401
        return answer

    def lines(self, request: str, services: set[str]) -> list[dict[str, Any]]:
        """Return the lines of a request once each of these services has printed one."""
        deadline = time.monotonic() + 10
        while True:
            texts = [
                text
                for log in self.services.folder.glob("*_*.log")
                for text in log.read_text().splitlines()
                if request in text
            ]
            entries = [json.loads(text) for text in texts]
            if {entry["service"] for entry in entries} >= services:
                return entries
            assert time.monotonic() < deadline, entries
            time.sleep(0.1)


@pytest.fixture(scope="module")
def way(postgres: Postgres, database: str, redis_server: Redis, state_folder: Path) -> Iterator[Way]:
    """Services that send to a collector, which sends to a Jaeger that keeps none of the ordinary traces."""
    jaeger_program, collector_program = program("jaeger"), program("otel-collector")
    if jaeger_program is None:
        pytest.skip("jaeger is not built here (titanium_traces)")
    folder = state_folder / "traces"
    folder.mkdir()
    otlp, query, health = free_port(), free_port(), free_port()
    variables = {
        "jaeger_keep_percentage": 0,
        "jaeger_keep_duration": 5000,
        "jaeger_decision_wait": "3s",
        "otel_collector_traces_endpoint": f"http://127.0.0.1:{otlp}",
        "otel_collector_traces_percentage": 100,
        "otel_collector_include": [str(folder / "none.log")],
        "otel_collector_loki_url": "http://127.0.0.1:9",
    }
    content = configurations(folder, variables)
    ports = {4318: otlp, 16686: query, 16685: free_port(), 13133: health}
    (folder / "jaeger.yaml").write_text(here(content["jaeger"], ports, folder))
    jaeger = Process("jaeger", [str(jaeger_program), f"--config={folder}/jaeger.yaml"], folder / "jaeger.log")
    collector, takes, collector_health = None, otlp, free_port()
    if collector_program is not None:
        takes = free_port()
        ports = {4318: takes, 13133: collector_health}
        (folder / "collector.yaml").write_text(here(content["otel-collector"], ports, folder))
        options = [f"--config={folder}/collector.yaml", "--feature-gates=stanza.synchronousLogEmitter"]
        collector = Process("otel-collector", [str(collector_program), *options], folder / "collector.log")
    # What the services are told is what the component tells them, but for the address.
    component = yaml.safe_load((ROOT / "gitops/components/traces/kustomization.yaml").read_text())
    told = {step["value"]["name"]: step["value"]["value"] for step in yaml.safe_load(component["patches"][0]["patch"])}
    told["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{takes}"
    services = Services(folder / "services", postgres, redis_server, database, extra=told)
    ready = partial(answers, "127.0.0.1", health, "/status")
    try:
        jaeger.start()
        jaeger.wait_until(ready, 60)
        if collector is not None:
            collector.start()
            collector.wait_until(partial(answers, "127.0.0.1", collector_health, "/"), 60)
        services.start(timeout=60)
        yield Way(services, collector, jaeger, ready, f"http://127.0.0.1:{query}")
    finally:
        services.stop()
        if collector is not None:
            collector.stop()
        jaeger.stop()


def test_a_failing_request_leads_by_its_lines_to_its_whole_trace(way: Way) -> None:
    request = way.log_in().headers["x-request-id"]
    [trace] = {entry["trace_id"] for entry in way.lines(request, ALL)}
    found = way.until(trace, ALL)
    [root] = tree(found)
    assert [(depth, span.service, span.name, span.status) for depth, span in walk([root])] == [
        (0, "api-gateway", "POST /api/login", "401"),
        (1, "auth-service", "POST /login", "401"),
        (2, "user-service", "POST /internal/verify-credentials", "401"),
    ]
    # Each line's own span is in the trace.
    assert {entry["span_id"] for entry in way.lines(request, ALL) if "span_id" in entry} == {
        span.identifier for span in found
    }


def test_a_callers_trace_goes_on_and_what_is_not_to_be_traced_is_not(way: Way) -> None:
    traces = [f"{time.time_ns():030x}{number:02x}" for number in range(2)]
    for trace, flags in zip(traces, ("00", "01"), strict=True):
        way.log_in(traceparent=f"00-{trace}-00f067aa0ba902b7-{flags}")
    [root] = tree(way.until(traces[1], ALL))
    assert root.parent == "00f067aa0ba902b7"
    assert way.spans(traces[0]) == []


def test_ordinary_traces_and_probes_are_not_kept(way: Way) -> None:
    ordinary, probe, last = [f"{time.time_ns():030x}{number:02x}" for number in range(3)]

    def get(url: str, trace: str) -> int:
        return httpx.get(url, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}, timeout=10).status_code

    assert get(f"{way.services.edge}/blog/api/posts", ordinary) == 200
    assert get(f"{way.services.url('blog_service')}/ready", probe) == 200
    assert get(f"{way.services.edge}/blog/api/posts/999999999", last) == 404
    way.until(last, {"api-gateway", "blog-service"})
    assert way.spans(ordinary) == way.spans(probe) == []


def test_what_happens_while_jaeger_is_away_is_there_afterwards(way: Way) -> None:
    if way.collector is None:
        pytest.skip("otel-collector is not built here (titanium_logs)")
    way.jaeger.stop()
    request = way.log_in().headers["x-request-id"]
    [trace] = {entry["trace_id"] for entry in way.lines(request, ALL)}
    time.sleep(3)
    way.jaeger.start()
    way.jaeger.wait_until(way.ready, 60)
    way.until(trace, ALL)


def test_readers_do_not_notice_that_nobody_takes_traces(way: Way) -> None:
    taker = way.collector or way.jaeger
    taker.stop()
    try:
        for _ in range(10):
            started = time.monotonic()
            way.log_in()
            assert time.monotonic() - started < 2
            time.sleep(0.2)
    finally:
        taker.start()
