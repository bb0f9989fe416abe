"""Lines are asked for as documented, page by page, and printed so that people can read them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from scripts.logs.__main__ import arguments, readable
from scripts.logs.loki import Line, LokiError, ask_cluster, ask_url, find, logql, seconds

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("labels", "contains", "level", "matches", "query"),
    [
        ({}, [], "", "", '{namespace=~".+"}'),
        ({"namespace": "a", "pod": ""}, ["r-1"], "", "", '{namespace="a"} |= "r-1"'),
        ({"service": "b"}, ['say "x"'], "error", "a.c", '{service="b"} |= "say \\"x\\"" |~ "a.c" | level=~"error"'),
    ],
)
def test_query(labels: dict[str, str], contains: list[str], level: str, matches: str, query: str) -> None:
    assert logql(labels, contains, level, matches) == query


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("15m", 900), ("6h", 21600), ("2d", 172800)])
def test_durations(text: str, value: int) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "h", "1.5h", "-1m", "10", "1w"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        seconds(text)


class Loki:
    """Answers as Loki does: the newest lines of a time, up to a limit; the end is not part of it."""

    def __init__(self, times: list[int]) -> None:
        self.times = times
        self.asked = 0

    def __call__(self, path: str) -> str:
        asked = {key: value[0] for key, value in parse_qs(urlsplit(path).query).items()}
        assert urlsplit(path).path == "/loki/api/v1/query_range"
        assert asked["direction"] == "backward"
        self.asked += 1
        start, end, limit = (int(asked[key]) for key in ("start", "end", "limit"))
        fitting = [(t, n) for n, t in enumerate(self.times) if start <= t < end]
        values = [[str(t), f"line {n}"] for t, n in sorted(fitting, reverse=True)[:limit]]
        return json.dumps({"data": {"result": [{"stream": {"service": "s"}, "values": values}] if values else []}})


def test_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.logs.loki.PAGE", 10)
    # Some of the same moment, on both sides of a page's end.
    times = sorted([n // 3 for n in range(100)])
    loki = Loki(times)
    found = find(loki, "{}", 0, 1000, 500)
    assert [line.time for line in found] == times
    assert len({line.text for line in found}) == 100
    assert loki.asked > 10


def test_the_newest_are_kept() -> None:
    found = find(Loki(list(range(100))), "{}", 0, 1000, 7)
    assert [line.time for line in found] == list(range(93, 100))


def test_nothing() -> None:
    assert find(Loki([]), "{}", 0, 1000, 7) == []


def line(text: str, **labels: str) -> Line:
    """A line of a moment in 2026."""
    return Line(1_790_000_000_012_345_678, tuple(sorted(labels.items())), text)


def test_json_is_readable() -> None:
    entry = {
        "time": "t",
        "level": "error",
        "service": "a",
        "message": "broke",
        "status": 500,
        "user": None,
        "exception": "x\ny",
    }
    shown = readable(line(json.dumps(entry), service="a", container="a", pod="a-1", level="error"))
    assert re.fullmatch(r"2026-\d\d-\d\d \d\d:\d\d:\d\d\.012  a {25}error {5}broke status=500\n    x\n    y", shown), (
        shown
    )


def test_other_text_stays_as_it_is() -> None:
    for text in ("plain", "{half", '["a"]'):
        assert readable(line(text, service="a", container="proxy", pod="a-1")).endswith(f"  {text}")
    assert "  a/proxy " in readable(line("plain", service="a", container="proxy", pod="a-1"))
    assert "  a-1/proxy " in readable(line("plain", service="a", container="proxy", pod="a-1"), wide=True)


def test_arguments() -> None:
    assert arguments([]).since == 3600
    assert arguments(["--since", "2d"]).since == 172800
    with pytest.raises(SystemExit):
        arguments(["--since", "yesterday"])


def test_who_does_not_answer_is_said(tmp_path: Path) -> None:
    with pytest.raises(LokiError, match="refused"):
        ask_url("http://127.0.0.1:9")("/ready")
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\necho no such service >&2; exit 1\n")
    kubectl.chmod(0o755)
    with pytest.raises(LokiError, match="no such service"):
        ask_cluster([str(kubectl)], "monitoring")("/ready")


def service_pattern() -> str:
    """The regular expression by which the collector makes a service's name of a pod's."""
    variables = yaml.safe_load((ROOT / "roles/otel_collector/vars/main.yml").read_text(encoding="utf-8"))
    [parser] = [step for step in variables["__otel_collector_operators"] if step["type"] == "regex_parser"]
    pattern: str = parser["regex"].replace("{{ __otel_collector_random }}", variables["__otel_collector_random"])
    assert "{{" not in pattern
    return pattern


@pytest.mark.parametrize(
    ("pod", "service"),
    [
        ("api-gateway-7d9c5f8b6d-x2k4p", "api-gateway"),
        ("blog-service-canary-5b6f7c8d9-zz9xw", "blog-service-canary"),
        ("otel-collector-b5xkq", "otel-collector"),
        ("istio-cni-node-9wqzt", "istio-cni-node"),
        ("postgresql-0", "postgresql"),
        ("prometheus-prometheus-12", "prometheus-prometheus"),
        ("cleanup-29400120-k7tlv", "cleanup"),
        ("migrations-4fd8x", "migrations"),
        ("webhook", "webhook"),
        ("kube-apiserver-minikube", "kube-apiserver-minikube"),
    ],
)
def test_service_of_a_pod(pod: str, service: str) -> None:
    match = re.fullmatch(service_pattern(), pod)
    assert match is not None
    assert match["service"] == service
