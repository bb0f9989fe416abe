"""What readers and writers see when Redis or PostgreSQL is away, slow, or back with what it knew before."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.harness.processes import free_port
from tests.integration.services.blog.blog import Blog, User, write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.services.blog.blog import Replica


class Wire:
    """A TCP proxy in front of Redis whose wire can be cut or made slow."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.port = free_port()
        self.cut = False
        self.delay = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drop(self) -> None:
        """End all connections, as a restart does."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.cut:
            writer.transport.abort()
            return
        other_reader, other_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, other_writer}
        for source, target in ((reader, other_writer), (other_reader, writer)):
            task = asyncio.create_task(self._pass(source, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                if self.delay:
                    await asyncio.sleep(self.delay)
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()


@pytest.fixture
async def wire(redis_address: tuple[str, int, str]) -> AsyncIterator[Wire]:
    """A wire to Redis."""
    result = Wire(*redis_address[:2])
    await result.start()
    yield result
    await result.stop()


@pytest.fixture
async def wired(blog: Blog, redis_address: tuple[str, int, str], wire: Wire) -> AsyncIterator[Replica]:
    """A replica behind the wire."""
    async with blog.replica(("127.0.0.1", wire.port, redis_address[2]), redis_timeout=0.15) as replica:
        yield replica


async def check_own_writes(replica: Replica, user: User) -> None:
    """Everything that a user does is seen by their next read."""
    post = await write(replica.client, user, category_id=2)
    path = f"/blog/api/posts/{post['id']}"
    assert (await replica.client.get("/blog/api/posts?limit=1")).json()[0]["id"] == post["id"]
    title = f"Title {random.random()}"
    assert (await replica.client.patch(path, json={"title": title}, headers=user.headers)).status_code == 200
    assert (await replica.client.get(path)).json()["title"] == title
    assert title in (await replica.client.get("/blog/")).text
    assert (await replica.client.delete(path, headers=user.headers)).status_code == 204
    assert (await replica.client.get(path)).status_code == 404
    assert title not in (await replica.client.get("/blog/")).text


async def test_redis_dies_and_comes_back(wired: Replica, wire: Wire, mina: User) -> None:
    await check_own_writes(wired, mina)
    wire.cut = True
    wire.drop()
    await check_own_writes(wired, mina)
    ready = await wired.client.get("/ready")
    assert (ready.status_code, ready.json()["checks"]["redis"]) == (200, "unavailable")
    wire.cut = False
    for _ in range(8):
        await check_own_writes(wired, mina)
        await asyncio.sleep(0.2)
    await wired.client.get("/blog/api/posts")
    before = local_hits(wired)
    await wired.client.get("/blog/api/posts")
    assert local_hits(wired) == before + 1


def local_hits(replica: Replica) -> float:
    """How many answers came out of the process's memory."""
    labels = {"service": "blog-service", "cache": "local"}
    return replica.app.state.metrics.registry.get_sample_value("cache_hits_total", labels) or 0.0


async def test_a_slow_redis_costs_time_and_no_answer(wired: Replica, wire: Wire, mina: User) -> None:
    await check_own_writes(wired, mina)
    wire.delay = 0.5
    began = time.monotonic()
    await check_own_writes(wired, mina)
    assert time.monotonic() - began < 4
    # Once found slow it is left alone for a while.
    began = time.monotonic()
    for _ in range(10):
        assert (await wired.client.get("/blog/api/posts")).status_code == 200
    assert time.monotonic() - began < 1.5
    wire.delay = 0
    await asyncio.sleep(1.5)
    await check_own_writes(wired, mina)


async def test_a_redis_that_was_restarted_behind_an_idle_process(
    wired: Replica, wire: Wire, blog: Blog, mina: User
) -> None:
    """It may have come back with values from before a write: a new connection trusts none of them."""
    post = await write(wired.client, mina)
    path = f"/blog/api/posts/{post['id']}"
    await wired.client.get(path)
    # Another replica without Redis stands for everything that was missed.
    async with blog.replica(None) as other:
        await other.client.patch(path, json={"title": "Missed"}, headers=mina.headers)
    wire.drop()
    assert (await wired.client.get(path)).json()["title"] == "Missed"


async def test_without_redis_configured(blog: Blog, mina: User) -> None:
    async with blog.replica(None) as replica:
        await check_own_writes(replica, mina)


async def test_two_replicas_see_each_others_writes_at_once(
    blog: Blog, redis_address: tuple[str, int, str], mina: User
) -> None:
    async with blog.replica(redis_address) as one, blog.replica(redis_address) as two:
        post = await write(one.client, mina)
        path = f"/blog/api/posts/{post['id']}"
        for number in range(30):
            writer, reader = (one, two) if number % 2 else (two, one)
            await writer.client.patch(path, json={"title": f"Title {number}"}, headers=mina.headers)
            assert (await reader.client.get(path)).json()["title"] == f"Title {number}"
            assert (await reader.client.get("/blog/api/posts?limit=1")).json()[0]["title"] == f"Title {number}"


@pytest.mark.parametrize("seed", range(4))
async def test_readers_never_see_less_than_was_acknowledged(
    blog: Blog, redis_address: tuple[str, int, str], mina: User, seed: int
) -> None:
    """Random writes and reads over two replicas: a read that starts after a write was answered shows it."""
    chance = random.Random(seed)
    async with blog.replica(redis_address) as one, blog.replica(redis_address) as two:
        posts = [(await write(one.client, mina, category_name=f"Random {seed}"))["id"] for _ in range(3)]
        acknowledged = dict.fromkeys(posts, 0)
        sent = dict.fromkeys(posts, 0)
        locks = {post: asyncio.Lock() for post in posts}

        async def change() -> None:
            post = chance.choice(posts)
            async with locks[post]:
                sent[post] += 1
                number = sent[post]
                replica = chance.choice((one, two))
                response = await replica.client.patch(
                    f"/blog/api/posts/{post}", json={"title": str(number)}, headers=mina.headers
                )
                assert response.status_code == 200
                acknowledged[post] = number

        async def read() -> None:
            least = dict(acknowledged)
            replica = chance.choice((one, two))
            if chance.random() < 0.5:
                post = chance.choice(posts)
                seen = {post: (await replica.client.get(f"/blog/api/posts/{post}")).json()["title"]}
            else:
                query: dict[str, str | int] = {
                    "category": f"random-{seed}",
                    "limit": chance.randrange(1, 5),
                    "offset": chance.randrange(3),
                }
                listed = await replica.client.get("/blog/api/posts", params=query)
                seen = {item["id"]: item["title"] for item in listed.json()}
            for post, title in seen.items():
                assert (int(title) if title.isdigit() else 0) >= least[post]

        for _ in range(40):
            await asyncio.gather(*(chance.choices([read, change], [3, 1])[0]() for _ in range(12)))


async def test_postgresql_away(blog: Blog, redis_address: tuple[str, int, str], mina: User) -> None:
    async with blog.replica(redis_address, database_port=free_port(), database_timeout=0.5) as replica:
        for response in (
            await replica.client.get("/blog/api/posts?limit=77"),
            await replica.client.get("/blog/api/posts/123456?x=1"),
            await replica.client.post(
                "/blog/api/posts", json={"title": "x", "content": "y", "category_id": 1}, headers=mina.headers
            ),
        ):
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) >= 1
            assert "asyncpg" not in response.text
        page = await replica.client.get("/blog/?page=77", headers={"accept-language": "ko"})
        assert page.status_code == 503
        assert page.headers["content-type"].startswith("text/html")
        assert "잠시 글을 가져올 수 없습니다" in page.text
        assert (await replica.client.get("/health")).status_code == 200
        assert (await replica.client.get("/ready")).status_code == 503


async def test_what_was_read_before_is_still_there_while_postgresql_is_away(
    blog: Blog, redis_address: tuple[str, int, str], mina: User
) -> None:
    async with blog.replica(redis_address) as up:
        post = await write(up.client, mina)
        path = f"/blog/api/posts/{post['id']}"
        await up.client.get(path)
        async with blog.replica(redis_address, database_port=free_port(), database_timeout=0.5) as down:
            # Connecting outdates everything, so that the first replica has to read it once more.
            await down.client.get("/blog/api/posts?limit=99")
            await up.client.get(path)
            assert (await down.client.get(path)).json() == post
