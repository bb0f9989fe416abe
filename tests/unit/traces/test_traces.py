"""Traces are asked for as documented, and printed so that people can read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from scripts.logs.loki import LokiError
from scripts.traces import __main__ as command
from scripts.traces.__main__ import arguments
from scripts.traces.jaeger import JaegerError, ask_cluster, ask_url, readable, spans, traces_of, tree

if TYPE_CHECKING:
    from pathlib import Path

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def span(identifier: str, parent: str, process: str, start: int, **tags: object) -> dict[str, Any]:
    """A span as Jaeger answers it, a millisecond long for each of its start's hundreds."""
    return {
        "traceID": TRACE,
        "spanID": identifier,
        "operationName": f"GET /{identifier}",
        "references": [{"refType": "CHILD_OF", "traceID": TRACE, "spanID": parent}] if parent else [],
        "startTime": 1_790_000_000_000_000 + start,
        "duration": 2500,
        "tags": [{"key": key.replace("_", "."), "type": "string", "value": value} for key, value in tags.items()],
        "processID": process,
    }


def answer(*of: dict[str, Any]) -> str:
    """Jaeger's answer with these spans."""
    processes = {"p1": {"serviceName": "api-gateway"}, "p2": {"serviceName": "auth-service"}}
    return json.dumps({"data": [{"traceID": TRACE, "spans": list(of), "processes": processes, "warnings": None}]})


def test_causes_come_before_what_they_caused_and_earlier_before_later() -> None:
    found = spans(
        answer(
            span("c", "a", "p2", 1800, http_response_status__code=200),
            span("b", "a", "p2", 400, error=True, error_type="RuntimeError"),
            span("d", "b", "p2", 500),
            span("a", "", "p1", 0),
        )
    )
    rows = readable(tree(found))
    assert [row.split("  +")[0].rstrip() for row in rows] == [
        "api-gateway  GET /a",
        "  auth-service  GET /b",
        "    auth-service  GET /d",
        "  auth-service  GET /c",
    ]
    assert rows[0].endswith("+0.0 ms  2.5 ms  -")
    assert rows[1].endswith("+0.4 ms  2.5 ms  - error RuntimeError")
    # In columns.
    assert len({row.index("  +") for row in rows}) == 1


def test_http_status_is_shown() -> None:
    raw = span("a", "", "p1", 0)
    raw["tags"] = [
        {"key": "http.response.status_code", "type": "int64", "value": 401},
        {"key": "otel.status_code", "type": "string", "value": "OK"},
    ]
    [row] = readable(tree(spans(answer(raw))))
    assert row.endswith("  401")


def test_a_span_whose_cause_is_not_there_stands_alone() -> None:
    roots = tree(spans(answer(span("b", "elsewhere", "p2", 100), span("a", "", "p1", 0))))
    assert [root.identifier for root in roots] == ["a", "b"]


def test_nothing() -> None:
    assert spans("") == []
    assert spans('{"data": null}') == []
    assert readable([]) == []


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"data": [{}]}', '{"data": [{"spans": [{}], "processes": {}}]}'])
def test_what_is_no_trace_is_said(text: str) -> None:
    with pytest.raises(JaegerError, match="not a trace"):
        spans(text)


def lines(*traces: str) -> str:
    """Loki's answer with a line for each trace."""
    result = [
        {"stream": {"service": "s", "trace_id": trace}, "values": [[str(moment), "{}"]]}
        for moment, trace in enumerate(traces)
    ]
    return json.dumps({"data": {"result": result}})


def test_a_request_leads_to_its_traces_once_each_by_its_own_lines() -> None:
    asked = []

    def ask(path: str) -> str:
        asked.append(parse_qs(urlsplit(path).query)["query"][0])
        return lines("t1", "", "t1", "t2")

    assert traces_of(ask, 'r"1', 0, 100) == ["t1", "t2"]
    assert asked == ['{namespace=~".+"} |= "r\\"1" | request_id="r\\"1"']


def test_arguments() -> None:
    assert arguments(["--trace", TRACE.upper()]).trace == TRACE
    assert arguments(["--request", "r", "--since", "2d"]).since == 172800
    for wrong in ([], ["--trace", "x"], ["--trace", TRACE, "--request", "r"], ["--trace", f"{TRACE}/"]):
        with pytest.raises(SystemExit):
            arguments(wrong)


def run(monkeypatch: pytest.MonkeyPatch, given: list[str], jaeger: object, loki: object = None) -> int:
    """Run the command with these answers."""

    def asking(result: object) -> object:
        def ask(_: str) -> str:
            if isinstance(result, Exception):
                raise result
            return str(result)

        return lambda *_: ask

    monkeypatch.setattr("sys.argv", ["traces", *given, "--url", "http://jaeger", "--loki-url", "http://loki"])
    monkeypatch.setattr(command, "ask_url", asking(jaeger))
    monkeypatch.setattr("scripts.logs.loki.ask_url", asking(loki))
    return command.main()


def test_a_request_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, ["--request", "r"], answer(span("a", "", "p1", 0)), lines(TRACE)) == 0
    assert capsys.readouterr().out == f"trace {TRACE}\napi-gateway  GET /a  +0.0 ms  2.5 ms  -\n"


def test_what_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, ["--trace", TRACE], "") == 1
    assert f"There is no trace {TRACE}" in capsys.readouterr().err
    assert run(monkeypatch, ["--request", "r"], "", lines()) == 1
    assert "No line of request r" in capsys.readouterr().err
    assert run(monkeypatch, ["--trace", TRACE], JaegerError("refused")) == 2
    assert "titanium_traces: true" in capsys.readouterr().err
    assert run(monkeypatch, ["--request", "r"], "", LokiError("refused")) == 2
    assert "titanium_logs: true" in capsys.readouterr().err


def kubectl(folder: Path, script: str) -> list[str]:
    """A stand-in for kubectl."""
    program = folder / "kubectl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return [str(program)]


NOT_FOUND = "echo 'Error from server (NotFound): the server could not find the requested resource' >&2; exit 1"


def test_no_trace_and_no_jaeger_are_told_apart(tmp_path: Path) -> None:
    there = kubectl(tmp_path, f'case "$3" in */services/jaeger) exit 0 ;; *) {NOT_FOUND} ;; esac')
    assert ask_cluster(there, "monitoring")("/api/traces/x") == ""
    with pytest.raises(JaegerError, match="NotFound"):
        ask_cluster(kubectl(tmp_path, NOT_FOUND), "monitoring")("/api/traces/x")
    with pytest.raises(JaegerError, match="no endpoints"):
        ask_cluster(kubectl(tmp_path, "echo 'no endpoints available' >&2; exit 1"), "monitoring")("/api/traces/x")


def test_who_does_not_answer_is_said() -> None:
    with pytest.raises(JaegerError, match="refused"):
        ask_url("http://127.0.0.1:9")("/api/traces/x")
