"""Questions to Loki, through the API server or at an address of its own."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PAGE = 5000
"""How many lines Loki gives at a time, at most."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class LokiError(Exception):
    """Loki did not answer, or refused, with what was said about it."""


@dataclass(frozen=True)
class Line:
    """One line: when (nanoseconds since 1970), from where, what."""

    time: int
    labels: tuple[tuple[str, str], ...]
    text: str

    def label(self, name: str) -> str:
        """A label's or structured metadata's value; empty if there is none."""
        return dict(self.labels).get(name, "")


def seconds(duration: str) -> int:
    """Return the seconds of `90s`, `15m`, `6h` or `2d`.

    Raises:
        ValueError: it is none of these.
    """
    match = re.fullmatch(r"(\d+)([smhd])", duration)
    if match is None:
        raise ValueError(f"{duration!r} is no duration such as 15m, 6h or 2d")
    return int(match[1]) * _UNITS[match[2]]


def quoted(text: str) -> str:
    """Return `text` as a string of LogQL."""
    return json.dumps(text)


def logql(labels: Mapping[str, str], contains: list[str], level: str = "", matches: str = "") -> str:
    """Return the query for lines with these labels that contain all of these texts.

    Args:
        labels: values of namespace, service, pod or container; empty ones are left out.
        contains: texts that a line has, such as a request's identifier.
        level: severities, as in `error|critical`.
        matches: regular expression that a line matches.
    """
    wanted = [f"{name}={quoted(value)}" for name, value in labels.items() if value]
    query = "{" + ", ".join(wanted or ['namespace=~".+"']) + "}"
    query += "".join(f" |= {quoted(text)}" for text in contains)
    if matches:
        query += f" |~ {quoted(matches)}"
    if level:
        query += f" | level=~{quoted(level)}"
    return query


def ask_url(url: str) -> Callable[[str], str]:
    """Return a function that asks the Loki at `url`."""

    def ask(path: str) -> str:
        try:
            with urlopen(url.rstrip("/") + path, timeout=60) as response:  # noqa: S310 -- the user's own address
                content: str = response.read().decode()
                return content
        except HTTPError as error:
            raise LokiError(error.read().decode(errors="replace").strip()) from error
        except URLError as error:
            raise LokiError(f"{url}: {error.reason}") from error

    return ask


def ask_cluster(kubectl: list[str], namespace: str) -> Callable[[str], str]:
    """Return a function that asks the cluster's Loki by way of the API server."""

    def ask(path: str) -> str:
        command = [*kubectl, "get", "--raw", f"/api/v1/namespaces/{namespace}/services/loki:http/proxy{path}"]
        process = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)  # noqa: S603
        if process.returncode != 0:
            raise LokiError(process.stderr.strip())
        return process.stdout

    return ask


def find(ask: Callable[[str], str], query: str, start: int, end: int, limit: int) -> list[Line]:
    """Return the newest `limit` lines of `query` between two times (nanoseconds), oldest first.

    Raises:
        LokiError: Loki did not answer, or refused.
    """
    found: list[Line] = []
    while len(found) < limit:
        wanted = min(PAGE, limit)
        parameters = {"query": query, "start": start, "end": end, "limit": wanted, "direction": "backward"}
        answer: dict[str, Any] = json.loads(ask(f"/loki/api/v1/query_range?{urlencode(parameters)}"))
        page = [
            Line(int(moment), tuple(sorted(stream["stream"].items())), text)
            for stream in answer["data"]["result"]
            for moment, text, *_ in stream["values"]
        ]
        if len(page) < wanted:
            found += page
            break
        # More lines of the oldest moment may be left: all of it comes with the next page. The end itself is not part of an answer.
        oldest = min(line.time for line in page)
        newer = [line for line in page if line.time > oldest]
        found += newer or page
        end = oldest + 1 if newer else oldest
    return sorted(found, key=lambda line: (line.time, line.labels, line.text))[-limit:]
