"""The services as processes, as an operator sees them: starting, draining, refusing to start."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.harness.processes import Process, free_port
from tests.harness.services import ROOT, Services

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness.postgres import Postgres
    from tests.harness.redis import Redis


@pytest.fixture(scope="module")
def services(postgres: Postgres, redis_server: Redis, state_folder: Path) -> Iterator[Services]:
    """All services but the blog, on a database of their own."""
    running = Services(
        state_folder / "services",
        postgres,
        redis_server,
        database=postgres.clone("processes"),
        extra={"SHUTDOWN_DELAY": "0.5"},
        names=("user_service", "auth_service", "api_gateway"),
    )
    running.start()
    yield running
    running.stop()


async def test_a_person_signs_up_and_logs_in(services: Services) -> None:
    body = {"username": "person", "email": "person@example.org", "password": "long enough"}
    async with httpx.AsyncClient(base_url=services.edge) as client:
        assert (await client.post("/api/register", json=body)).status_code == 201
        token = (await client.post("/api/login", json=body)).json()["token"]
        headers = {"authorization": f"Bearer {token}"}
        assert (await client.get("/api/users/person", headers=headers)).json()["email"] == body["email"]


async def test_sigterm_drains(services: Services) -> None:
    """Not ready at once, still serving for a moment, and no request is lost."""
    body = {"username": "person", "password": "wrong"}
    async with httpx.AsyncClient(base_url=services.url("user_service")) as client:
        running = asyncio.create_task(client.post("/internal/verify-credentials", json=body))
        await asyncio.sleep(0.01)
        services.processes["user_service"].send(signal.SIGTERM)
        await asyncio.sleep(0.1)
        ready = await client.get("/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "draining")
        assert (await client.get("/health")).status_code == 200
        assert (await running).status_code == 401
    status = await asyncio.to_thread(services.processes["user_service"].wait, 10)
    assert status in {0, -signal.SIGTERM}
    log = services.processes["user_service"].log.read_text()
    assert "user-service stops" in log
    assert "Traceback" not in log
    await asyncio.to_thread(services.start, "user_service")


def test_a_killed_gateway_comes_back_on_the_same_ports(services: Services) -> None:
    services.processes["api_gateway"].kill()
    services.start("api_gateway")
    assert httpx.get(services.edge + "/api/login").status_code == 401


@pytest.mark.parametrize("name", ["user_service", "auth_service", "api_gateway"])
def test_starting_is_quick_and_small(services: Services, name: str) -> None:
    """Start to ready, and memory at rest. Limits leave room for a busy machine; docs have measured figures."""
    services.stop(name)
    began = time.monotonic()
    services.start(name)
    seconds = time.monotonic() - began
    memory = psutil.Process(services.processes[name].pid).memory_info().rss / 2**20
    print(f"\n{name}: ready after {seconds:.2f} s, {memory:.0f} MiB")
    assert seconds < 15
    assert memory < 128


def start(name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a service that is not going to start."""
    return subprocess.run(
        [sys.executable, "-m", name],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "services"), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_without_a_key_auth_service_says_how_to_make_one(tmp_path: Path) -> None:
    result = start("auth_service", JWT_KEY_DIR=str(tmp_path))
    assert result.returncode == 1
    assert "current.pem" in result.stderr
    assert "openssl genpkey" in result.stderr
    assert "Traceback" not in result.stderr


def test_without_its_folder_it_names_the_variable() -> None:
    result = start("auth_service")
    assert (result.returncode, result.stderr) == (2, "environment variable JWT_KEY_DIR: Field required\n")


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = start("user_service", HOST="127.0.0.1", PORT=str(port))
    assert result.returncode == 1
    assert result.stderr.startswith(f"cannot listen on 127.0.0.1:{port}: ")
    assert "Traceback" not in result.stderr


def test_a_process_that_ends_while_starting_shows_its_log(tmp_path: Path) -> None:
    process = Process("failing", [sys.executable, "-c", "print('the reason'); exit(3)"], tmp_path / "log")
    process.start()
    with pytest.raises(RuntimeError, match=r"(?s)failing ended while starting.*the reason"):
        process.wait_until(lambda: False, 10)


def test_a_process_that_hangs_is_told_of_and_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    process = Process("hanging", [sys.executable, "-c", code], tmp_path / "log")
    process.start()
    process.wait_until(lambda: "up" in process.tail(), 10)
    with pytest.raises(RuntimeError, match="not ready after 0 s"):
        process.wait_until(lambda: False, 0.1)
    process.stop(timeout=0.2)
    assert not process.running


class Developer:
    """Somebody who runs `make dev` and watches."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.dev", "--state", str(log.parent / "state")],
            cwd=ROOT,
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_for(self, pattern: str, seconds: float) -> re.Match[str]:
        """Return the match once the output has it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if match := re.search(pattern, self.log.read_text()):
                return match
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(f"no {pattern!r} in {seconds} s:\n{self.log.read_text()}")


def test_make_dev(state_folder: Path) -> None:
    """The blog answers, the demo user can log in, a change reloads, and Ctrl-C stops everything."""
    folder = state_folder / "dev"
    folder.mkdir()
    developer = Developer(folder / "output")
    try:
        developer.wait_for(r"ready after", 60)
        children = psutil.Process(developer.process.pid).children(recursive=True)
        assert len(children) >= 6
        blog = developer.wait_for(r"blog +(\S+)", 1)[1]
        username, password = developer.wait_for(r"log in +(\S+) / (\S+)", 1).groups()
        assert httpx.get(blog).status_code == 200
        edge = blog.removesuffix("/blog/")
        login = httpx.post(f"{edge}/api/login", json={"username": username, "password": password})
        assert login.status_code == 200
        (ROOT / "services/user_service/main.py").touch()
        developer.wait_for(r"reloaded user_service in", 30)
        assert httpx.get(f"{edge}/api/users/{username}").status_code == 200
    finally:
        os.killpg(developer.process.pid, signal.SIGINT)
        assert developer.process.wait(30) == 0
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


def test_free_port_is_free() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", free_port()))
