"""`make bench`: how many requests a second one worker of blog-service answers, beside a bare application.

Both run here and now, on one uvicorn worker each, with 32 keep-alive connections and 500 posts in 3 categories, in
turns; ratios are what counts, as rates differ from machine to machine.

usage: python -m tests.load.bench_api [--seconds N] [--rounds N] [--check]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import redis

from tests.harness.postgres import Postgres
from tests.harness.processes import Process, free_port
from tests.harness.redis import Redis
from tests.harness.services import ROOT, Services, answers

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = "bench:list"
CONNECTIONS = 32
POSTS = 500
_RATE = re.compile(r"Requests/sec:\s+([0-9.]+)")
_ERRORS = re.compile(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)")

SEED = f"""
INSERT INTO blog.posts (title, content, category_id, author, author_id, created_at)
SELECT 'Post number ' || n, 'Paragraph of post ' || n || '. ' || repeat('A sentence that fills the page. ', 40),
       1 + n % 3, 'author' || n % 7, n % 7, now() - make_interval(mins => {POSTS} - n)
FROM generate_series(1, {POSTS}) AS n
"""  # noqa: S608 -- a constant


@dataclass
class Subject:
    """Something to be measured: a name, its address, and what it is compared with."""

    name: str
    url: str
    against: str = ""
    target: float = 0.0
    rates: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Requests a second: the median of all rounds."""
        return statistics.median(self.rates)


def wrk(url: str, seconds: int) -> float:
    """Requests a second at `url`.

    Raises:
        RuntimeError: some requests failed; a rate of errors means nothing.
    """
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if failed := _ERRORS.search(output):
        raise RuntimeError(f"{url}: {failed.group()}")
    rate = _RATE.search(output)
    if rate is None:
        raise RuntimeError(f"{url}: wrk printed no rate:\n{output}")
    return float(rate[1])


def measure(subjects: Sequence[Subject], seconds: int, rounds: int) -> None:
    """Measure all subjects in turns, so that what else the machine does touches all of them."""
    for subject in subjects:
        wrk(subject.url, 1)
    for number in range(rounds):
        for subject in subjects:
            subject.rates.append(wrk(subject.url, seconds))
            print(f"round {number + 1}/{rounds}  {subject.name:<36} {subject.rates[-1]:9,.0f} req/s", flush=True)


def report(subjects: Sequence[Subject]) -> bool:
    """Print the table; return whether all targets are met."""
    by_name = {subject.name: subject for subject in subjects}
    print(f"\n{'':<36} {'req/s':>9}  {'ratio':>6}  {'target':>6}")
    good = True
    for subject in subjects:
        line = f"{subject.name:<36} {subject.rate:9,.0f}"
        if subject.against:
            ratio = subject.rate / by_name[subject.against].rate
            good &= ratio >= subject.target
            line += f"  {ratio:6.2f}  {subject.target:6.2f}"
        print(line)
    return good


def prepare(folder: Path, postgres: Postgres, store: Redis) -> tuple[Services, Services, Process, int]:
    """Start the databases, the blog with and without cache, and the bare application."""
    folder.chmod(0o711)
    postgres.start()
    store.start()
    postgres.create_roles()
    postgres.migrate()
    postgres.administer(lambda connection: connection.execute(SEED))
    postgres.administer(lambda connection: connection.execute("ANALYZE"))
    cached = Services(folder / "cached", postgres, store, names=("blog_service",))
    uncached = Services(folder / "uncached", postgres, None, names=("blog_service",))
    began = time.monotonic()
    cached.start()
    print(f"blog-service: ready {time.monotonic() - began:.2f} s after its start")
    uncached.start()
    port = free_port()
    bare = Process(
        "the bare application",
        [
            *(sys.executable, "-m", "uvicorn", "tests.load.bare_app:app", "--port", str(port)),
            *("--loop", "uvloop", "--http", "httptools", "--ws", "none", "--lifespan", "off"),
            *("--no-access-log", "--no-proxy-headers", "--no-server-header", "--log-level", "warning"),
        ],
        folder / "bare.log",
        environment={**os.environ, **cached.environment("blog_service"), "PYTHONPATH": str(ROOT), "BENCH_KEY": KEY},
        cwd=ROOT,
    )
    with urllib.request.urlopen(f"{cached.url('blog_service')}/blog/api/posts?limit=20") as response:  # noqa: S310
        body = response.read()
    client = redis.Redis(host=store.host, port=store.port, password=store.password)
    client.set(KEY, body)
    client.close()
    bare.start()
    bare.wait_until(partial(answers, "127.0.0.1", port, "/redis"), 15)
    return cached, uncached, bare, port


def main() -> int:
    """Measure and print. Returns 1 if `--check` was given and a target was missed."""
    parser = argparse.ArgumentParser(prog="make bench", description="requests a second, beside a bare application")
    parser.add_argument("--seconds", type=int, default=5, help="length of one measurement (5)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--check", action="store_true", help="fail if a ratio is below its target")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        print("bench: wrk is missing. Mend: apt-get install wrk", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="titanium-bench-") as name:
        folder = Path(name)
        postgres, store = Postgres(folder / "postgres", durable=False), Redis(folder / "redis")
        running: list[Any] = [postgres, store]
        try:
            cached, uncached, bare, port = prepare(folder, postgres, store)
            running += [cached, uncached, bare]
            blog, plain = cached.url("blog_service"), uncached.url("blog_service")
            one_get, one_query = "bare: one Redis GET", "bare: one query, asyncpg and orjson"
            subjects = [
                Subject(one_get, f"http://127.0.0.1:{port}/redis"),
                Subject("list of 20", f"{blog}/blog/api/posts?limit=20", one_get, 0.8),
                Subject("one post", f"{blog}/blog/api/posts/250", one_get, 0.8),
                Subject("categories", f"{blog}/blog/api/categories", one_get, 0.8),
                Subject("page /blog/", f"{blog}/blog/", one_get, 0.4),
                Subject(one_query, f"http://127.0.0.1:{port}/postgresql"),
                Subject("list of 20, no cache", f"{plain}/blog/api/posts?limit=20", one_query, 0.5),
            ]
            measure(subjects, options.seconds, options.rounds)
            memory = psutil.Process(cached.processes["blog_service"].pid).memory_info().rss
            good = report(subjects)
            print(f"\nblog-service holds {memory / 2**20:.0f} MiB after the run")
        finally:
            for part in reversed(running):
                part.stop()
    return 1 if options.check and not good else 0


if __name__ == "__main__":
    sys.exit(main())
