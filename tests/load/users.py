"""`make load`: users as k6 plays them, against a running platform, or one that is started for it on this machine.

Leaves a summary (JSON) and a picture (SVG) of each run in the folder `build/load`, and fails if a threshold is crossed.

With `--beside`, the same readers then play against a bare application that gives out the same bytes from Redis.

usage: python -m tests.load.users [--profile NAME] [--target URL] [--stretch FACTOR] [--beside]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import redis

from tests.harness.postgres import Postgres
from tests.harness.processes import Process, free_port
from tests.harness.redis import Redis
from tests.harness.services import ROOT, Services, answers
from tests.load.bench_api import seed

PROFILES = sorted(path.stem for path in (ROOT / "tests/load/k6").glob("*.js") if path.stem != "blog")
READING = ("load", "stress")
"""Profiles that a bare application can serve."""
NO_LIMITS = {"RATE_LIMIT_LOGIN": "", "RATE_LIMIT_ACCOUNT": "", "RATE_LIMIT_REGISTER": "", "RATE_LIMIT_WRITE": ""}


def find_k6() -> Path:
    """Return the built k6.

    Raises:
        SystemExit: there is none; says how to build it.
    """
    pointer = Path.home() / ".cache/titanium/bin/k6/path"
    if pointer.exists() and (path := Path(pointer.read_text().strip())).exists():
        return path
    raise SystemExit("load: k6 is not built. Mend: ansible-playbook -i inventories/local playbooks/k6.yml")


def platform(stack: ExitStack) -> str:
    """Start the whole platform until `stack` is closed, with 500 posts and no limits, and return its URL.

    The users of a load test all have one address, so limits by address would be all that is measured.
    """
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="titanium-load-")))
    folder.chmod(0o711)
    postgres, store = Postgres(folder / "postgres", durable=False), Redis(folder / "redis")
    stack.callback(postgres.stop)
    postgres.start()
    stack.callback(store.stop)
    store.start()
    postgres.create_roles()
    postgres.migrate()
    seed(postgres)
    services = Services(folder / "services", postgres, store, extra=NO_LIMITS)
    stack.callback(services.stop)
    services.start()
    return services.edge


def fetch(url: str) -> bytes:
    """The body of a GET."""
    with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310
        body: bytes = response.read()
        return body


def replay(stack: ExitStack, target: str) -> str:
    """Serve what readers ask of `target` from a bare application until `stack` is closed, and return its URL."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="titanium-replay-")))
    folder.chmod(0o711)
    store = Redis(folder / "redis")
    stack.callback(store.stop)
    store.start()
    lists = [f"/blog/api/posts?limit=20&offset={offset}" for offset in (0, 20, 40)]
    paths = ["/blog/", "/blog/api/categories", *lists]
    paths += [f"/blog/api/posts/{post['id']}" for path in lists for post in json.loads(fetch(target + path))]
    with redis.Redis(host=store.host, port=store.port, password=store.password) as client:
        for path in paths:
            client.set(path, fetch(target + path))
    port = free_port()
    server = Process(
        "the bare application",
        [
            *(sys.executable, "-m", "uvicorn", "tests.load.replay_app:app", "--port", str(port)),
            *("--loop", "uvloop", "--http", "httptools", "--ws", "none", "--lifespan", "on"),
            *("--no-access-log", "--no-proxy-headers", "--no-server-header", "--log-level", "warning"),
        ],
        folder / "bare.log",
        environment={**os.environ, **store.environment(), "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )
    stack.callback(server.stop)
    server.start()
    server.wait_until(lambda: answers("127.0.0.1", port, "/blog/"), 20)
    return f"http://127.0.0.1:{port}"


def play(k6: Path, profile: str, target: str, stretch: float, summary: Path) -> int:
    """Run a profile against `target` and return k6's exit status."""
    return subprocess.run(
        [
            *(str(k6), "run", "--no-usage-report", "--summary-export", str(summary)),
            *("--env", f"BASE_URL={target}", "--env", f"STRETCH={stretch}"),
            str(ROOT / "tests/load/k6" / f"{profile}.js"),
        ],
        check=False,
    ).returncode


def compare(summary: Path, bare: Path) -> str:
    """A table of both runs' latencies."""
    ours, theirs = (json.loads(path.read_text())["metrics"]["http_req_duration"] for path in (summary, bare))
    lines = [f"{'ms':8}{'platform':>10}{'bare':>10}{'ratio':>8}"]
    lines += [
        f"{name:8}{ours[name]:10.2f}{theirs[name]:10.2f}{ours[name] / theirs[name]:8.2f}"
        for name in ("med", "p(95)", "p(99)")
    ]
    return "\n".join(lines)


def picture(title: str, metrics: dict[str, Any]) -> str:
    """An SVG with the latencies of a run and its thresholds."""
    duration = metrics["http_req_duration"]
    bars = [(name, float(duration[name])) for name in ("med", "p(90)", "p(95)", "p(99)", "max")]
    longest = max(value for _, value in bars) or 1.0
    rows = []
    for index, (name, value) in enumerate(bars):
        top = 70 + index * 34
        width = max(2.0, 420 * value / longest)
        rows.append(f'<text x="70" y="{top + 17}" text-anchor="end">{escape(name)}</text>')
        rows.append(f'<rect x="82" y="{top}" width="{width:.1f}" height="24" rx="4" fill="#3b82f6"/>')
        rows.append(f'<text x="{90 + width:.1f}" y="{top + 17}">{value:.1f} ms</text>')
    checks, failed = metrics["checks"], metrics["http_req_failed"]
    line = (
        f"{metrics['http_reqs']['count']:,} requests, {metrics['http_reqs']['rate']:.1f} a second, "
        f"{100 * failed['value']:.2f} % failed, {100 * checks['value']:.2f} % of checks passed"
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="260" font-family="system-ui, sans-serif" '
        'font-size="14"><rect width="640" height="260" fill="#ffffff"/>'
        f'<text x="20" y="28" font-size="18" font-weight="600">{escape(title)}</text>'
        f'<text x="20" y="50" fill="#555555">{escape(line)}</text>{"".join(rows)}</svg>\n'
    )


def main() -> int:
    """Run a profile; return k6's exit status: 99 if a threshold was crossed."""
    parser = argparse.ArgumentParser(prog="make load", description="users as k6 plays them")
    parser.add_argument("--profile", choices=PROFILES, default="smoke")
    parser.add_argument("--target", default="", help="URL of a running platform; without, one is started")
    parser.add_argument("--stretch", type=float, default=1.0, help="0.1 runs a tenth of the time (1)")
    parser.add_argument("--beside", action="store_true", help="then play against a bare application, and compare")
    options = parser.parse_args()
    if options.beside and options.profile not in READING:
        parser.error(f"--beside needs a profile that only reads: {', '.join(READING)}")
    k6 = find_k6()
    folder = ROOT / "build/load"
    folder.mkdir(parents=True, exist_ok=True)
    summary, bare = folder / f"{options.profile}.json", folder / f"{options.profile}-bare.json"
    for path in (summary, bare):
        path.unlink(missing_ok=True)
    with ExitStack() as stack:
        target = options.target.rstrip("/") or platform(stack)
        status = play(k6, options.profile, target, options.stretch, summary)
        if options.beside:
            status = max(status, play(k6, options.profile, replay(stack, target), options.stretch, bare))
    if summary.exists():
        metrics = json.loads(summary.read_text())["metrics"]
        name = f"{options.profile}, {'a running platform' if options.target else 'one replica of each service'}"
        summary.with_suffix(".svg").write_text(picture(name, metrics))
        print(f"load: {summary.relative_to(ROOT)} and its picture, {summary.with_suffix('.svg').name}")
    if summary.exists() and bare.exists():
        print(compare(summary, bare))
    return status


if __name__ == "__main__":
    sys.exit(main())
