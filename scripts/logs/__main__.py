"""Print log lines of all services in the order of time: `make logs ARGS='--request ID'`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.logs.loki import Line, LokiError, ask_cluster, ask_url, find, logql, seconds

KUBECONFIG = "/var/lib/titanium/kubeconfig"
SHOWN_ELSEWHERE = {"time", "level", "service", "message", "exception"}


def readable(line: Line, wide: bool = False) -> str:
    """Return a line for people: time, where from, level, message, and what else a line of JSON says."""
    moment = datetime.fromtimestamp(line.time // 10**9, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
    service, container = line.label("service"), line.label("container")
    place = line.label("pod") if wide else service
    if container not in {"", service}:
        place += f"/{container}"
    entry: Any = None
    if line.text.startswith("{"):
        try:
            entry = json.loads(line.text)
        except ValueError:
            entry = None
    text = line.text
    if isinstance(entry, dict):
        rest = [
            f"{key}={value}" for key, value in entry.items() if key not in SHOWN_ELSEWHERE and value not in ("", None)
        ]
        text = " ".join([str(entry.get("message", "")), *rest]).strip()
        text += "".join(f"\n    {row}" for row in str(entry.get("exception", "")).splitlines())
    return f"{moment}.{line.time // 10**6 % 1000:03d}  {place:<24}  {line.label('level') or '-':<8}  {text}"


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Return what is asked for."""
    parser = argparse.ArgumentParser(prog="make logs ARGS='...'", description=__doc__)
    parser.add_argument("--request", help="identifier of a request: the header X-Request-ID of its answer")
    parser.add_argument("--trace", help="identifier of a trace")
    parser.add_argument("--namespace", default="")
    parser.add_argument("--service", default="", help="name of the workload, such as blog-service")
    parser.add_argument("--pod", default="")
    parser.add_argument("--container", default="")
    parser.add_argument("--level", default="", help="severities, such as 'error|critical'")
    parser.add_argument("--contains", action="append", default=[], help="text that a line has; may be repeated")
    parser.add_argument("--matches", default="", help="regular expression that a line matches")
    parser.add_argument("--since", type=seconds, default="1h", help="how far back: 15m, 6h, 2d (1h)")
    parser.add_argument("--limit", type=int, default=1000, help="how many lines at most, the newest ones (1000)")
    parser.add_argument("--wide", action="store_true", help="pods instead of services")
    parser.add_argument("--raw", action="store_true", help="the lines as they were printed, and nothing else")
    parser.add_argument(
        "--url", default=os.environ.get("LOKI_URL", ""), help="address of Loki, if not by the API server"
    )
    parser.add_argument("--kubeconfig", default=os.environ.get("KUBECONFIG", KUBECONFIG))
    parser.add_argument("--loki-namespace", default="monitoring")
    return parser.parse_args(given)


def main() -> int:
    """Ask Loki and print; return the exit status: 0 with lines, 1 without, 2 without an answer."""
    wanted = arguments()
    labels = {name: getattr(wanted, name) for name in ("namespace", "service", "pod", "container")}
    contains = [text for text in (wanted.request, wanted.trace, *wanted.contains) if text]
    query = logql(labels, contains, wanted.level, wanted.matches)
    kubectl = [str(Path(sys.executable).parent / "kubectl"), "--kubeconfig", wanted.kubeconfig]
    ask = ask_url(wanted.url) if wanted.url else ask_cluster(kubectl, wanted.loki_namespace)
    now = time.time_ns()
    try:
        lines = find(ask, query, now - wanted.since * 10**9, now + 10**9, wanted.limit)
    except LokiError as error:
        sys.stderr.write(f"Loki: {error}\nMend: is it there (titanium_logs: true), and ready?\n")
        return 2
    for line in lines:
        sys.stdout.write((line.text if wanted.raw else readable(line, wanted.wide)) + "\n")
    if len(lines) == wanted.limit:
        sys.stderr.write(f"These are the newest {wanted.limit} lines of {query}; --limit gives more, --since fewer.\n")
    elif not lines:
        sys.stderr.write(f"No line of {query} in the last {wanted.since} s.\n")
    return 0 if lines else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:
        sys.exit(0)
