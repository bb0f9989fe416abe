"""Print the spans of a request in all services as a tree: `make traces ARGS='--request ID'`."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.logs import loki
from scripts.traces.jaeger import JaegerError, ask_cluster, ask_url, readable, spans, traces_of, tree

if TYPE_CHECKING:
    from collections.abc import Callable

KUBECONFIG = "/var/lib/titanium/kubeconfig"


def trace_id(text: str) -> str:
    """Return a trace's identifier as Jaeger has it.

    Raises:
        ValueError: it is none.
    """
    lower = text.lower()
    if not re.fullmatch(r"[0-9a-f]{32}", lower):
        raise ValueError(f"{text!r} is no trace: 32 hexadecimal digits")
    return lower


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Return what is asked for."""
    parser = argparse.ArgumentParser(prog="make traces ARGS='...'", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--request", help="identifier of a request: the header X-Request-ID of its answer; asks Loki first"
    )
    which.add_argument("--trace", type=trace_id, help="identifier of a trace, as log lines have it")
    parser.add_argument(
        "--since", type=loki.seconds, default="1h", help="how far back its lines are looked for: 15m, 6h, 2d (1h)"
    )
    parser.add_argument("--wait", type=loki.seconds, default="0s", help="how long to wait for it to be there (0s)")
    parser.add_argument(
        "--url", default=os.environ.get("JAEGER_URL", ""), help="address of Jaeger, if not by the API server"
    )
    parser.add_argument(
        "--loki-url", default=os.environ.get("LOKI_URL", ""), help="address of Loki, if not by the API server"
    )
    parser.add_argument("--kubeconfig", default=os.environ.get("KUBECONFIG", KUBECONFIG))
    parser.add_argument("--namespace", default="monitoring", help="of Jaeger and Loki (monitoring)")
    return parser.parse_args(given)


def look(
    wanted: argparse.Namespace, ask: Callable[[str], str], ask_loki: Callable[[str], str]
) -> tuple[list[str], list[str]]:
    """Return the identifiers of the traces that are meant, and lines about those that there are."""
    identifiers = [wanted.trace]
    if wanted.request:
        now = time.time_ns()
        identifiers = traces_of(ask_loki, wanted.request, now - wanted.since * 10**9, now + 10**9)
    rows = []
    for identifier in identifiers:
        found = readable(tree(spans(ask(f"/api/traces/{identifier}"))))
        if found:
            rows += [f"trace {identifier}", *found]
    return identifiers, rows


def main() -> int:
    """Ask and print; return the exit status: 0 with a trace, 1 without, 2 without an answer."""
    wanted = arguments()
    kubectl = [str(Path(sys.executable).parent / "kubectl"), "--kubeconfig", wanted.kubeconfig]
    ask = ask_url(wanted.url) if wanted.url else ask_cluster(kubectl, wanted.namespace)
    ask_loki = loki.ask_url(wanted.loki_url) if wanted.loki_url else loki.ask_cluster(kubectl, wanted.namespace)
    deadline = time.monotonic() + wanted.wait
    while True:
        try:
            identifiers, rows = look(wanted, ask, ask_loki)
        except JaegerError as error:
            sys.stderr.write(f"Jaeger: {error}\nMend: is it there (titanium_traces: true), and ready?\n")
            return 2
        except loki.LokiError as error:
            sys.stderr.write(
                f"Loki: {error}\nMend: is it there (titanium_logs: true), and ready? --trace asks without it.\n"
            )
            return 2
        if rows or time.monotonic() >= deadline:
            break
        time.sleep(1)
    for row in rows:
        sys.stdout.write(row + "\n")
    if not rows:
        if identifiers:
            sys.stderr.write(
                f"There is no trace {', '.join(identifiers)}: it was not kept (docs/traces.md), is too old, or is not there yet (--wait 30s).\n"
            )
        else:
            sys.stderr.write(f"No line of request {wanted.request} in the last {wanted.since} s names a trace.\n")
    return 0 if rows else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:
        sys.exit(0)
