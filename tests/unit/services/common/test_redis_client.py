"""The circuit around Redis."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.harness.processes import free_port
from titanium_common import redis_client
from titanium_common.metrics import Metrics
from titanium_common.redis_client import Redis, RedisUnavailable
from titanium_common.settings import Settings

if TYPE_CHECKING:
    import redis.asyncio as aioredis


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The circuit's clock."""
    result = Clock()
    monkeypatch.setattr(redis_client, "monotonic", result)
    return result


@pytest.fixture
def metrics() -> Metrics:
    """Metrics to look at."""
    return Metrics("svc")


def errors(metrics: Metrics) -> float:
    """How many commands failed."""
    value = metrics.registry.get_sample_value("redis_errors_total", {"service": "svc"})
    assert value is not None
    return value


class Server:
    """Answers or not, and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None

    async def __call__(self, _: aioredis.Redis) -> str:
        self.asked += 1
        if self.error:
            raise self.error
        return "answer"


async def test_the_circuit(clock: Clock, metrics: Metrics) -> None:
    redis = Redis(Settings(redis_host="localhost"), metrics)
    server = Server()
    assert await redis.run(server, None) == "answer"
    server.error = RedisTimeoutError("slow")
    assert await redis.run(server, None) is None
    assert not redis.available
    assert await redis.run(server, "default") == "default"
    assert server.asked == 2
    assert errors(metrics) == 2

    clock.now += 0.6  # Half open: one tries.
    assert redis.available
    assert await redis.run(server, None) is None
    assert server.asked == 3
    clock.now += 0.6  # It waits longer each time.
    assert await redis.run(server, None) is None
    assert server.asked == 3
    clock.now += 0.6
    server.error = None
    assert await redis.run(server, None) == "answer"
    assert redis.available
    assert await redis.run(server, None) == "answer"


async def test_only_one_tries_while_half_open(clock: Clock, metrics: Metrics) -> None:
    redis = Redis(Settings(redis_host="localhost"), metrics)
    server = Server()
    server.error = OSError()
    await redis.run(server, None)
    clock.now += 1
    release = asyncio.Event()

    async def slow(_: aioredis.Redis) -> str:
        await release.wait()
        return "answer"

    probe = asyncio.create_task(redis.run(slow, None))
    await asyncio.sleep(0)
    server.error = None
    assert await redis.run(server, "skipped") == "skipped"
    release.set()
    assert await probe == "answer"
    assert await redis.run(server, "skipped") == "answer"


async def test_several_failures_at_once_count_as_one(clock: Clock, metrics: Metrics) -> None:
    redis = Redis(Settings(redis_host="localhost"), metrics)
    server = Server()
    server.error = ResponseError("LOADING")
    await asyncio.gather(*(redis.run(server, None) for _ in range(20)))
    clock.now += redis_client.FIRST_PAUSE + 0.01
    assert redis.available


async def test_without_redis(metrics: Metrics) -> None:
    redis = Redis(Settings(redis_host=""), metrics)
    assert await redis.get("a") is None
    assert not await redis.set("a", b"", 1)
    assert not await redis.delete("a")
    assert not redis.available
    with pytest.raises(RedisUnavailable):
        await redis.check()
    await redis.close()
    assert errors(metrics) == 0


async def test_a_dead_redis_costs_little(metrics: Metrics) -> None:
    redis = Redis(Settings(redis_host="127.0.0.1", redis_port=free_port()), metrics)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(1000):
        assert await redis.get("a") is None
    assert loop.time() - began < 1
    await redis.close()
