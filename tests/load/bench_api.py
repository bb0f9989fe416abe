"""`make bench`: how many requests a second one replica answers, beside the least that could do the same.

All run here and now, one uvicorn worker each, with 32 keep-alive connections and 500 posts in 3 categories, in turns;
ratios are what counts, as rates differ from machine to machine. Also: memory at rest, and time from start to ready.

usage: python -m tests.load.bench_api [--seconds N] [--rounds N] [--check]
"""

from __future__ import annotations

import argparse
import json
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
from tests.harness.services import ROOT, SERVICES, Services, answers
from user_service.settings import UserSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = "bench:list"
CONNECTIONS = 32
POSTS = 500
MEMORY_TARGET = 90
"""MB (10^6 bytes) that a replica may hold at rest."""
READY_TARGET = 2.0
"""Seconds from start to ready."""
USER = {"username": "bench", "email": "bench@example.org", "password": "a password"}
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
    script: Path | None = None
    """What wrk is to send instead of a GET."""
    rates: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Requests a second: the median of all rounds."""
        return statistics.median(self.rates)


@dataclass
class Rest:
    """A replica that nobody has asked for anything yet."""

    name: str
    seconds: float
    """From its start until it is ready."""
    megabytes: float
    """Resident set, in 10^6 bytes."""


def wrk(subject: Subject, seconds: int) -> float:
    """Requests a second.

    Raises:
        RuntimeError: some requests failed; a rate of errors means nothing.
    """
    script = ["--script", str(subject.script)] if subject.script else []
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "20s", *script, subject.url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if failed := _ERRORS.search(output):
        raise RuntimeError(f"{subject.url}: {failed.group()}")
    rate = _RATE.search(output)
    if rate is None:
        raise RuntimeError(f"{subject.url}: wrk printed no rate:\n{output}")
    return float(rate[1])


def measure(subjects: Sequence[Subject], seconds: int, rounds: int) -> None:
    """Measure all subjects in turns, so that what else the machine does touches all of them."""
    for subject in subjects:
        wrk(subject, 1)
    for number in range(rounds):
        for subject in subjects:
            subject.rates.append(wrk(subject, seconds))
            print(f"round {number + 1}/{rounds}  {subject.name:<36} {subject.rates[-1]:9,.0f} req/s", flush=True)


def report(subjects: Sequence[Subject], rest: Sequence[Rest]) -> bool:
    """Print the tables; return whether all targets are met."""
    good = True

    def verdict(met: bool) -> str:
        nonlocal good
        good &= met
        return "" if met else "  MISSED"

    by_name = {subject.name: subject for subject in subjects}
    print(f"\n{'':<36} {'req/s':>9}  {'ratio':>6}  {'target':>6}")
    for subject in subjects:
        line = f"{subject.name:<36} {subject.rate:9,.0f}"
        if subject.against:
            # Each round's two are neighbours in time, so their ratio is what noise touches least.
            pairs = zip(subject.rates, by_name[subject.against].rates, strict=True)
            ratio = statistics.median(rate / base for rate, base in pairs)
            line += f"  {ratio:6.2f}  {subject.target:6.2f}{verdict(ratio >= subject.target)}"
        print(line)
    print(f"\n{'at rest':<36} {'ready, s':>9}  {'MB':>6}")
    for one in rest:
        met = one.megabytes < MEMORY_TARGET and one.seconds < READY_TARGET
        print(f"{one.name:<36} {one.seconds:9.2f}  {one.megabytes:6.1f}{verdict(met)}")
    print(f"{'target, below':<36} {READY_TARGET:9.2f}  {MEMORY_TARGET:6.1f}")
    return good


def start_one_by_one(services: Services, rounds: int = 3) -> list[Rest]:
    """Start the services, each alone and a few times; return the medians, and leave all of them running."""
    found = []
    for name in SERVICES:
        seconds, megabytes = [], []
        for number in range(rounds):
            if number:
                services.stop(name)
            began = time.monotonic()
            services.start(name)
            seconds.append(time.monotonic() - began)
            time.sleep(0.5)
            megabytes.append(psutil.Process(services.processes[name].pid).memory_info().rss / 1e6)
        found.append(Rest(name.replace("_", "-"), statistics.median(seconds), statistics.median(megabytes)))
    return found


def bare_application(folder: Path, services: Services, port: int) -> Process:
    """What the services are compared with, with the settings that they have."""
    hashing = UserSettings()
    return Process(
        "the bare application",
        [
            *(sys.executable, "-m", "uvicorn", "tests.load.bare_app:app", "--port", str(port)),
            *("--loop", "uvloop", "--http", "httptools", "--ws", "none", "--lifespan", "on"),
            *("--no-access-log", "--no-proxy-headers", "--no-server-header", "--log-level", "warning"),
        ],
        folder / "bare.log",
        environment={
            **os.environ,
            **services.environment("blog_service"),
            "PYTHONPATH": str(ROOT),
            "BENCH_KEY": KEY,
            "ARGON2_TIME": str(hashing.argon2_time),
            "ARGON2_MEMORY": str(hashing.argon2_memory),
            "ARGON2_THREADS": str(hashing.argon2_threads),
        },
        cwd=ROOT,
    )


def seed(postgres: Postgres) -> None:
    """Write the posts."""
    postgres.administer(lambda connection: connection.execute(SEED))
    # Also lets later reads find every page visible and every row's hint bits set.
    postgres.administer(lambda connection: connection.execute("VACUUM ANALYZE"))


def login_script(folder: Path) -> Path:
    """A script that makes wrk log in."""
    path = folder / "login.lua"
    body = json.dumps({"username": USER["username"], "password": USER["password"]})
    path.write_text(f"wrk.method = 'POST'\nwrk.body = '{body}'\nwrk.headers['Content-Type'] = 'application/json'\n")
    return path


def register(url: str) -> None:
    """Make the account that logs in."""
    request = urllib.request.Request(  # noqa: S310
        f"{url}/users", json.dumps(USER).encode(), {"content-type": "application/json"}
    )
    urllib.request.urlopen(request).close()  # noqa: S310


def run(folder: Path, running: list[Any], seconds: int, rounds: int) -> bool:
    """Start everything (and note it in `running`), measure, print; return whether all targets are met."""
    folder.chmod(0o711)
    postgres, store = Postgres(folder / "postgres", durable=False), Redis(folder / "redis")
    running += [postgres, store]
    postgres.start()
    store.start()
    postgres.create_roles()
    postgres.migrate()
    seed(postgres)
    no_limits = {"RATE_LIMIT_LOGIN": "", "RATE_LIMIT_ACCOUNT": "", "RATE_LIMIT_REGISTER": ""}
    cached = Services(folder / "cached", postgres, store, extra=no_limits)
    uncached = Services(folder / "uncached", postgres, None, names=("blog_service",))
    running += [cached, uncached]
    print("starting the services, each three times", flush=True)
    rest = start_one_by_one(cached)
    uncached.start()
    register(cached.url("user_service"))
    blog, plain, auth = cached.url("blog_service"), uncached.url("blog_service"), cached.url("auth_service")

    with urllib.request.urlopen(f"{blog}/blog/api/posts?limit=20") as response:  # noqa: S310
        body = response.read()
    client = redis.Redis(host=store.host, port=store.port, password=store.password)
    client.set(KEY, body)
    client.close()
    port = free_port()
    bare = bare_application(folder, cached, port)
    running.append(bare)
    bare.start()
    bare.wait_until(partial(answers, "127.0.0.1", port, "/redis"), 15)

    one_get, one_query, one_hash = "bare: one Redis GET", "bare: one query and orjson", "bare: one Argon2id"
    script = login_script(folder)
    subjects = [
        Subject(one_get, f"http://127.0.0.1:{port}/redis"),
        Subject("list of 20", f"{blog}/blog/api/posts?limit=20", one_get, 0.8),
        Subject("one post", f"{blog}/blog/api/posts/250", one_get, 0.8),
        Subject("categories", f"{blog}/blog/api/categories", one_get, 0.8),
        Subject("page /blog/", f"{blog}/blog/", one_get, 0.4),
        Subject(one_query, f"http://127.0.0.1:{port}/postgresql"),
        Subject("list of 20, no cache", f"{plain}/blog/api/posts?limit=20", one_query, 0.5),
        Subject(one_hash, f"http://127.0.0.1:{port}/argon2", script=script),
        Subject("login", f"{auth}/login", one_hash, 0.7, script),
    ]
    try:
        measure(subjects, seconds, rounds)
    except RuntimeError as error:
        processes = [*cached.processes.values(), *uncached.processes.values(), bare]
        # Access lines tell nothing new.
        logs = {one.name: [line for line in one.tail(2000).splitlines() if '"warning"' in line] for one in processes}
        said = "\n".join(f"{name}: {line}" for name, lines in logs.items() for line in lines[-5:])
        raise RuntimeError(f"{error}\n{said}") from None
    return report(subjects, rest)


def main() -> int:
    """Measure and print. Returns 1 if `--check` was given and a target was missed."""
    parser = argparse.ArgumentParser(prog="make bench", description="requests a second, beside a bare application")
    parser.add_argument("--seconds", type=int, default=5, help="length of one measurement (5)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        print("bench: wrk is missing. Mend: apt-get install wrk", file=sys.stderr)
        return 2
    running: list[Any] = []
    with tempfile.TemporaryDirectory(prefix="titanium-bench-") as name:
        try:
            good = run(Path(name), running, options.seconds, options.rounds)
        finally:
            for part in reversed(running):
                part.stop()
    return 1 if options.check and not good else 0


if __name__ == "__main__":
    sys.exit(main())
