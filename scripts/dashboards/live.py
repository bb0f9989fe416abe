"""The running Prometheus and Loki, asked as Grafana asks them."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

PROMETHEUS = "http://127.0.0.1:30090"
KUBECTL = ("kubectl", "--kubeconfig", "/var/lib/titanium/kubeconfig")
LOKI = "/api/v1/namespaces/monitoring/services/loki:3100/proxy"
"""Loki has no port outside; the API server passes questions on."""


class QueryError(Exception):
    """A query that was refused, with what was said about it."""


@dataclass(frozen=True)
class Series:
    """What one series said: its labels, and its samples as (time, value)."""

    labels: dict[str, str]
    samples: list[tuple[float, float]]


@dataclass
class Answer:
    """What came back: series of numbers, or lines as (time, text)."""

    series: list[Series] = field(default_factory=list)
    lines: list[tuple[float, str]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.series or self.lines)


@dataclass(frozen=True)
class Live:
    """Where to ask, and about which time: the last `seconds`, every `step` seconds."""

    prometheus: str = PROMETHEUS
    kubectl: tuple[str, ...] = KUBECTL
    seconds: int = 1800
    step: int = 30

    def has_loki(self) -> bool:
        """Whether there is a Loki."""
        command = [*self.kubectl, "get", "--raw", f"{LOKI}/ready"]
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0  # noqa: S603

    def ask(self, source: str, expression: str) -> Answer:
        """Ask `prometheus` or `loki`.

        Raises:
            QueryError: it was refused.
        """
        now = time.time()
        times = {"query": expression, "start": f"{now - self.seconds:.0f}", "end": f"{now:.0f}", "step": f"{self.step}"}
        if source == "loki":
            return _answer(self._ask_loki(urlencode({**times, "limit": "200"})))
        request = Request(f"{self.prometheus}/api/v1/query_range", urlencode(times).encode())  # noqa: S310 -- http
        try:
            with urlopen(request, timeout=30) as response:  # noqa: S310 -- http
                return _answer(json.load(response))
        except HTTPError as error:
            raise QueryError(error.read().decode(errors="replace")) from error

    def _ask_loki(self, parameters: str) -> dict[str, Any]:
        command = [*self.kubectl, "get", "--raw", f"{LOKI}/loki/api/v1/query_range?{parameters}"]
        process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
        if process.returncode != 0:
            raise QueryError(process.stderr.strip())
        answer: dict[str, Any] = json.loads(process.stdout)
        return answer


def _answer(answer: dict[str, Any]) -> Answer:
    """Read what Prometheus and Loki answer; numbers that are none are left out."""
    result = Answer()
    for item in answer["data"]["result"]:
        if "stream" in item:
            result.lines += [(int(moment) / 1e9, line) for moment, line, *_ in item["values"]]
            continue
        samples = [
            (float(moment), float(value)) for moment, value in item["values"] if value not in {"NaN", "+Inf", "-Inf"}
        ]
        if samples:
            result.series.append(Series(item["metric"], samples))
    result.lines.sort(reverse=True)
    return result
