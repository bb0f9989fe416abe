"""kill -9 of every component, one at a time, while posts are written: it comes back, and no acknowledged post is lost."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from tests.e2e.conftest import EDGE, kubectl

if TYPE_CHECKING:
    from collections.abc import Iterator

# Process names as the kernel shows them, and how long each may take to serve again, in seconds. The bound is for a
# busy machine of two cores; what was measured is printed and kept in docs/operations.md.
COMPONENTS = {
    "etcd": 120,
    "kube-apiserver": 120,
    "kube-controller-manager": 120,
    "kube-scheduler": 120,
    "kubelet": 120,
    "kube-proxy": 120,
    "containerd": 120,
    "postgres": 180,
    "redis-server": 180,
}


@dataclass
class Writer:
    """Writes posts all the time and keeps what was acknowledged and every answer that was not."""

    acknowledged: dict[int, str] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    last_success: float = 0.0
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.username = f"chaos-{secrets.token_hex(4)}"
        self.password = secrets.token_urlsafe(18)
        self.token = ""

    def sign_up(self) -> None:
        answer = httpx.post(
            f"{EDGE}/api/register",
            json={"username": self.username, "email": f"{self.username}@example.org", "password": self.password},
            timeout=30,
        )
        assert answer.status_code == 201, answer.text
        self.log_in()

    def log_in(self) -> None:
        credentials = {"username": self.username, "password": self.password}
        answer = httpx.post(f"{EDGE}/api/login", json=credentials, timeout=30)
        assert answer.status_code == 200, answer.text
        self.token = answer.json()["token"]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def run(self) -> None:
        for number in itertools.count():
            if self.stopping.wait(0.1):
                return
            title = f"{self.username} {number}"
            try:
                answer = httpx.post(
                    f"{EDGE}/blog/api/posts",
                    json={"title": title, "content": "written while something died", "category_id": 3},
                    headers=self.headers,
                    timeout=10,
                )
            except httpx.TransportError as error:
                self.refused[type(error).__name__] += 1
                continue
            if answer.status_code == 201:
                self.acknowledged[answer.json()["id"]] = title
                self.last_success = time.monotonic()
            elif answer.status_code in (502, 503, 504, 429) and answer.headers.get("Retry-After"):
                self.refused[f"{answer.status_code} with Retry-After"] += 1
            else:
                self.unexpected.append(f"{answer.status_code} {answer.headers.get('Retry-After')} {answer.text[:200]}")


@pytest.fixture(scope="module")
def writer() -> Iterator[Writer]:
    writer = Writer()
    writer.sign_up()
    thread = threading.Thread(target=writer.run, daemon=True)
    thread.start()
    yield writer
    writer.stopping.set()
    thread.join(timeout=30)
    writer.log_in()
    for post in writer.acknowledged:
        httpx.delete(f"{EDGE}/blog/api/posts/{post}", headers=writer.headers, timeout=10)


def processes(name: str) -> list[psutil.Process]:
    """The processes of that name that belong to the local cluster: for a server with workers, only the first."""
    found = [p for p in psutil.process_iter(["name", "ppid", "status"]) if p.info["name"] == name]
    alive = [p for p in found if p.info["status"] != psutil.STATUS_ZOMBIE]
    pids = {p.pid for p in alive}
    return [p for p in alive if p.info["ppid"] not in pids]


def healthy() -> bool:
    ready = kubectl("get", "--raw", "/readyz", check=False) == "ok"
    node = kubectl(
        "get", "nodes", "-o", 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}', check=False
    )
    return ready and node == "True"


@pytest.mark.cluster
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", COMPONENTS)
def test_comes_back(name: str, writer: Writer) -> None:
    victims = processes(name)
    assert victims, f"no process {name} to kill"
    started = time.monotonic()
    killed = {victim.pid for victim in victims}
    for victim in victims:
        victim.kill()

    def back() -> bool:
        alive = {p.pid for p in processes(name)}
        return bool(alive - killed) and healthy() and writer.last_success > started + 1

    deadline = started + COMPONENTS[name]
    while not back():
        assert time.monotonic() < deadline, f"{name} did not come back in {COMPONENTS[name]} s: {writer.refused}"
        time.sleep(0.5)
    print(f"\n{name}: serving again after {time.monotonic() - started:.1f} s; refused so far: {dict(writer.refused)}")


@pytest.mark.cluster
def test_no_acknowledged_post_is_lost(writer: Writer) -> None:
    """Runs after the kills (pytest keeps the order of a file)."""
    assert len(writer.acknowledged) > 50
    lost = []
    for post, title in list(writer.acknowledged.items()):
        answer = httpx.get(f"{EDGE}/blog/api/posts/{post}", timeout=10)
        if answer.status_code != 200 or answer.json()["title"] != title:
            lost.append((post, title, answer.status_code))
    assert not lost
    print(f"\nacknowledged and found: {len(writer.acknowledged)}; refused: {dict(writer.refused)}")


@pytest.mark.cluster
def test_clients_saw_only_retryable_errors(writer: Writer) -> None:
    assert not writer.unexpected
