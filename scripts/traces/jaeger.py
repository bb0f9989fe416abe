"""Questions to Jaeger, through the API server or at an address of its own, and traces as trees."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from scripts.logs.loki import find, logql, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNTOLD = "-"
_NOT_FOUND = re.compile(r"trace not found|NotFound|could not find the requested resource", re.IGNORECASE)


class JaegerError(Exception):
    """Jaeger did not answer, or refused, with what was said about it."""


@dataclass
class Span:
    """One span, with those that it caused: earliest first."""

    identifier: str
    parent: str
    service: str
    name: str
    start: int
    """Microseconds since 1970."""
    duration: int
    """Microseconds."""
    attributes: dict[str, Any]
    children: list[Span] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether it ended with an error of its own service."""
        return self.attributes.get("error") in {True, "true"} or self.attributes.get("otel.status_code") == "ERROR"

    @property
    def status(self) -> str:
        """The HTTP status, and `error` with its type if there was one."""
        status = str(self.attributes.get("http.response.status_code", UNTOLD))
        kind = self.attributes.get("error.type", "")
        return " ".join(part for part in (status, "error" if self.failed else "", str(kind)) if part)


def ask_url(url: str) -> Callable[[str], str]:
    """Return a function that asks the Jaeger at `url`; it returns an empty text for what Jaeger does not have."""

    def ask(path: str) -> str:
        try:
            with urlopen(url.rstrip("/") + path, timeout=60) as response:  # noqa: S310 -- the user's own address
                content: str = response.read().decode()
                return content
        except HTTPError as error:
            text = error.read().decode(errors="replace").strip()
            if error.code == 404 and _NOT_FOUND.search(text):
                return ""
            raise JaegerError(text or str(error)) from error
        except URLError as error:
            raise JaegerError(f"{url}: {error.reason}") from error

    return ask


def ask_cluster(kubectl: list[str], namespace: str) -> Callable[[str], str]:
    """Return a function that asks the cluster's Jaeger by way of the API server, as `ask_url` does."""
    service = f"/api/v1/namespaces/{namespace}/services/jaeger"

    def run(path: str) -> subprocess.CompletedProcess[str]:
        command = [*kubectl, "get", "--raw", path]
        return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)  # noqa: S603

    def ask(path: str) -> str:
        process = run(f"{service}:http-query/proxy{path}")
        if process.returncode == 0:
            return process.stdout
        # kubectl says the same of a Service that is not there and of a trace that is not.
        if _NOT_FOUND.search(process.stderr) and run(service).returncode == 0:
            return ""
        raise JaegerError(process.stderr.strip())

    return ask


def spans(answer: str) -> list[Span]:
    """Return the spans of Jaeger's answer about a trace; none if it is empty.

    Raises:
        JaegerError: it is not what Jaeger answers.
    """
    if not answer:
        return []
    try:
        traces = json.loads(answer).get("data") or []
        return [_span(span, trace["processes"]) for trace in traces for span in trace["spans"]]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise JaegerError(f"this is not a trace: {answer[:200]}") from error


def _span(span: dict[str, Any], processes: dict[str, Any]) -> Span:
    references = span.get("references") or []
    parents = [reference["spanID"] for reference in references if reference["refType"] == "CHILD_OF"]
    return Span(
        identifier=span["spanID"],
        parent=parents[0] if parents else "",
        service=processes[span["processID"]]["serviceName"],
        name=span["operationName"],
        start=span["startTime"],
        duration=span["duration"],
        attributes={tag["key"]: tag["value"] for tag in span.get("tags") or []},
    )


def tree(found: list[Span]) -> list[Span]:
    """Return the spans that no other one of them caused, each with what it caused, earliest first."""
    by_identifier = {span.identifier: span for span in found}
    roots = []
    for span in sorted(found, key=lambda span: (span.start, span.identifier)):
        parent = by_identifier.get(span.parent)
        if parent is None or parent is span:
            roots.append(span)
        else:
            parent.children.append(span)
    return roots


def walk(roots: list[Span], depth: int = 0) -> Iterator[tuple[int, Span]]:
    """Yield every span with its depth, causes before what they caused."""
    for span in roots:
        yield depth, span
        yield from walk(span.children, depth + 1)


def readable(roots: list[Span]) -> list[str]:
    """Return a line for each span: service, name, when after the first one, how long, what came of it."""
    rows = list(walk(roots))
    if not rows:
        return []
    first = min(span.start for _, span in rows)
    labels = [f"{'  ' * depth}{span.service}  {span.name}" for depth, span in rows]
    width = max(map(len, labels))
    return [
        f"{label:<{width}}  +{(span.start - first) / 1000:.1f} ms  {span.duration / 1000:.1f} ms  {span.status}"
        for label, (_, span) in zip(labels, rows, strict=True)
    ]


def traces_of(ask_loki: Callable[[str], str], request: str, start: int, end: int) -> list[str]:
    """Return the identifiers of the traces that log lines of a request name, between two times (nanoseconds).

    Raises:
        LokiError: Loki did not answer, or refused.
    """
    query = logql({}, [request]) + f" | request_id={quoted(request)}"
    lines = find(ask_loki, query, start, end, 1000)
    return list(dict.fromkeys(line.label("trace_id") for line in lines if line.label("trace_id")))
