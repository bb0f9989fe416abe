"""`make dev`: the four services with reload, on a real PostgreSQL and a real Redis. No cluster and no root needed.

usage: python -m tests.harness.dev [--fresh] [--port PORT] [--state FOLDER]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import secrets
import signal
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness.binaries import MissingProgramError
from tests.harness.postgres import Postgres
from tests.harness.processes import free_port
from tests.harness.redis import Redis
from tests.harness.services import ROOT, Services

if TYPE_CHECKING:
    from collections.abc import Iterator

POLL = 0.4
"""Seconds between two looks at the source files."""
COLOURS = {"user_service": 36, "auth_service": 35, "blog_service": 33, "api_gateway": 32}
DEMO_USER = "demo"


def state_folder(chosen: Path | None) -> Path:
    """Return the folder, `chosen` or the usual one, that keeps the data from one run to the next; ours alone.

    Raises:
        SystemExit: somebody else owns it.
    """
    # Not below the home folder, which PostgreSQL cannot enter where root has to run it as somebody else.
    folder = chosen or Path("/var/tmp") / f"titanium-dev-{os.geteuid()}"
    folder.mkdir(mode=0o711, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise SystemExit(f"{folder} is not a folder that we alone can write to. Mend: remove it")
    return folder


def say(text: str) -> None:
    """Tell the developer."""
    print(f"\033[1mtitanium\033[0m  {text}", flush=True)


class Sources:
    """The services' source files, and which of them have changed."""

    def __init__(self) -> None:
        self._seen = self._look()

    def _files(self) -> Iterator[Path]:
        for suffix in ("*.py", "*.html", "*.sql"):
            yield from (ROOT / "services").rglob(suffix)

    def _look(self) -> dict[Path, int]:
        result = {}
        for path in self._files():
            try:
                result[path] = path.stat().st_mtime_ns
            except FileNotFoundError:
                continue  # An editor was just replacing it.
        return result

    def changed(self) -> set[Path]:
        """Return what is new, different or gone since the last look."""
        now = self._look()
        before, self._seen = self._seen, now
        return {path for path in now.keys() | before.keys() if now.get(path) != before.get(path)}


class LogFollower:
    """Shows what the services write, readably, from where they are now."""

    def __init__(self, services: Services) -> None:
        self._files = {name: process.log for name, process in services.processes.items()}
        self._offsets = {name: log.stat().st_size if log.exists() else 0 for name, log in self._files.items()}

    def show(self) -> None:
        """Print what is new."""
        for name, path in self._files.items():
            if not path.exists():
                continue
            with path.open("rb") as log:
                log.seek(self._offsets[name])
                data = log.read()
            end = data.rfind(b"\n") + 1
            self._offsets[name] += end
            for line in data[:end].decode(errors="replace").splitlines():
                self._print(name, line)

    def _print(self, name: str, line: str) -> None:
        prefix = f"\033[{COLOURS[name]}m{name.replace('_', '-'):<13}\033[0m"
        try:
            entry = json.loads(line)
        except ValueError:
            print(prefix, line, flush=True)
            return
        if entry.get("message") == "request":
            print(prefix, entry["status"], entry["method"], entry["path"], f"{entry['duration_ms']} ms", flush=True)
        elif entry.get("level") != "info":
            print(prefix, entry.get("level", ""), entry.get("message", line), entry.get("exception", ""), flush=True)


def demo_account(services: Services, folder: Path) -> str:
    """Make the demo user, unless there is one, and return its password."""
    path = folder / "demo-password"
    if path.exists():
        return path.read_text()
    password = secrets.token_urlsafe(12)
    body = {"username": DEMO_USER, "email": "demo@example.org", "password": password}
    connection = http.client.HTTPConnection("127.0.0.1", services.edge_port, timeout=10)
    connection.request("POST", "/api/register", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 201:
        raise RuntimeError(f"the demo user could not be made: {response.status} {response.read().decode()}")
    connection.close()
    path.touch(mode=0o600)
    path.write_text(password)
    return password


def affected(changed: set[Path], services: Services) -> list[str]:
    """Return the services that have to start again after these files changed."""
    packages = {path.relative_to(ROOT / "services").parts[0] for path in changed}
    if "titanium_common" in packages:
        return list(services.names)
    return [name for name in services.names if name in packages]


def watch(services: Services, postgres: Postgres, logs: LogFollower) -> None:
    """Start services again when their files change, until the developer has had enough."""
    sources = Sources()
    while True:
        time.sleep(POLL)
        logs.show()
        changed = sources.changed()
        if not changed:
            continue
        if any("migrations" in path.parts for path in changed):
            try:
                postgres.migrate()
                say("migrated")
            except RuntimeError as error:
                say(str(error))
        names = affected(changed, services)
        if not names:
            continue
        began = time.monotonic()
        services.stop(*names)
        try:
            services.start(*names)
            say(f"reloaded {', '.join(names)} in {time.monotonic() - began:.1f} s")
        except RuntimeError as error:
            say(f"{error}\nwaiting for the next change")


def main() -> int:
    """Start everything, wait, stop everything. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="make dev", description="the four services on this machine, with reload")
    parser.add_argument("--fresh", action="store_true", help="forget the data of earlier runs")
    parser.add_argument("--port", type=int, default=0, help="port of the edge (a free one)")
    parser.add_argument("--state", type=Path, help="folder for the data (one below /var/tmp)")
    options = parser.parse_args()

    # SIGINT as well: a shell that starts us in the background has it ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    began = time.monotonic()
    folder = state_folder(options.state)
    if options.fresh:
        for name in ("postgres/passwords", "demo-password"):
            (folder / name).unlink(missing_ok=True)
    running: list[Postgres | Redis | Services] = []
    try:
        postgres = Postgres(folder / "postgres")
        redis = Redis(folder / "redis")
        say("starting PostgreSQL and Redis")
        running.append(postgres)
        postgres.start()
        running.append(redis)
        redis.start()
        postgres.create_roles()
        say("migrating")
        postgres.migrate()
        services = Services(folder / "services", postgres, redis, edge_port=options.port or free_port())
        logs = LogFollower(services)
        say("starting the services")
        running.append(services)
        services.start()
        password = demo_account(services, folder)
        say(f"ready after {time.monotonic() - began:.1f} s")
        say(f"blog      {services.edge}/blog/")
        say(f"log in    {DEMO_USER} / {password}")
        say("API       " + "  ".join(f"{services.url(name)}/docs" for name in services.names))
        say(f"logs      {services.folder}/*.log    Ctrl-C stops everything")
        watch(services, postgres, logs)
    except KeyboardInterrupt:
        return 0
    except (MissingProgramError, RuntimeError, OSError) as error:
        print(f"titanium: {error}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        say("stopping")
        for part in reversed(running):
            part.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
