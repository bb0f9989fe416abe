"""Readers and a writer who keep at it while something happens to the platform, and note every request that failed."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import aiohttp

if TYPE_CHECKING:
    from types import TracebackType


@dataclass
class Load:
    """Load on a running platform, as a context manager: it runs while the block does.

    Parameters
    ----------
    edge:
        Where the platform answers, without a trailing slash.
    reads, writes:
        Requests a second of each kind.
    new_connections:
        Whether half of the reads come over a connection of their own, as new visitors do.
    """

    edge: str
    reads: float = 40
    writes: float = 5
    new_connections: bool = True
    failures: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    durations: list[float] = field(default_factory=list)
    posts: list[int] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Sign up, and begin."""
        self._stopping = threading.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._started.wait(60), f"the load could not begin: {self.failures}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, and remove the posts."""
        self._stopping.set()
        self._thread.join(timeout=60)

    @property
    def total(self) -> int:
        """How many requests were made so far."""
        return sum(self.statuses.values()) + len(self.failures)

    def report(self, title: str) -> str:
        """Return one line with the figures."""
        ordered = sorted(self.durations) or [0.0]
        p99 = ordered[int(len(ordered) * 0.99)] * 1000
        return f"{title}: {self.total} requests, {len(self.failures)} failed, p99 {p99:.0f} ms, slowest {ordered[-1] * 1000:.0f} ms"

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            headers = await self._sign_up(session)
            self._started.set()
            running: set[asyncio.Task[None]] = set()
            begin, done = time.monotonic(), {"read": 0, "write": 0}
            while not self._stopping.is_set():
                passed = time.monotonic() - begin
                for kind, rate in (("read", self.reads), ("write", self.writes)):
                    while done[kind] < passed * rate:
                        done[kind] += 1
                        work = self._read(session, done[kind]) if kind == "read" else self._write(session, headers)
                        task = asyncio.create_task(work)
                        running.add(task)
                        task.add_done_callback(running.discard)
                await asyncio.sleep(0.01)
            if running:
                await asyncio.wait(running)
            for post in self.posts:
                async with session.delete(f"{self.edge}/blog/api/posts/{post}", headers=headers):
                    pass

    async def _sign_up(self, session: aiohttp.ClientSession) -> dict[str, str]:
        name, password = f"load-{secrets.token_hex(4)}", secrets.token_urlsafe(18)
        account = {"username": name, "email": f"{name}@example.org", "password": password}
        async with session.post(f"{self.edge}/api/register", json=account) as answer:
            answer.raise_for_status()
        async with session.post(f"{self.edge}/api/login", json={"username": name, "password": password}) as answer:
            answer.raise_for_status()
            return {"Authorization": f"Bearer {(await answer.json())['token']}"}

    async def _read(self, session: aiohttp.ClientSession, number: int) -> None:
        path = ("/blog/", "/blog/api/posts?limit=5", "/blog/api/categories", "/api/auth/verify")[number % 4]
        # /verify without a token: 400 is its right answer, and the way to auth-service was open.
        headers = {"Connection": "close"} if self.new_connections and number % 2 else {}
        await self._request(session, "GET", path, {400} if path == "/api/auth/verify" else {200}, headers=headers)

    async def _write(self, session: aiohttp.ClientSession, headers: dict[str, str]) -> None:
        post = {"title": "load", "content": "written while something happened", "category_id": 3}
        answer = await self._request(session, "POST", "/blog/api/posts", {201}, headers=headers, json=post)
        if isinstance(answer, dict):
            self.posts.append(answer["id"])

    async def _request(
        self, session: aiohttp.ClientSession, method: str, path: str, expected: set[int], **options: object
    ) -> object:
        begin = time.monotonic()
        try:
            async with session.request(method, self.edge + path, **options) as answer:  # type: ignore[arg-type]
                body = await answer.read()
                if answer.status not in expected:
                    self.failures.append(f"{time.strftime('%X')} {method} {path}: {answer.status} {body[:120]!r}")
                    return None
                self.statuses[answer.status] += 1
                self.durations.append(time.monotonic() - begin)
                return await answer.json() if answer.status == 201 else None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.failures.append(f"{time.strftime('%X')} {method} {path}: {type(error).__name__} {error}")
            return None
