"""The cache never shows less than what was acknowledged, whatever happens at the same time."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from blog_service.cache import Answer, Cache, Scope
from titanium_common.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class FakeRedis:
    """As much of a Redis as the cache uses, with a pause before and after each command takes effect."""

    def __init__(self, chance: random.Random | None = None) -> None:
        self.values: dict[str, tuple[bytes, float]] = {}
        self.down = False
        self.stuck = False
        self.commands = 0
        self._chance = chance

    async def _pause(self) -> None:
        self.commands += 1
        if self.stuck:
            await asyncio.sleep(60)
        if self.down:
            raise RedisConnectionError("down")
        for _ in range(self._chance.randrange(4) if self._chance else 1):
            await asyncio.sleep(0)

    def _read(self, name: str) -> bytes | None:
        value, expires = self.values.get(name, (None, 0.0))
        return value if expires > asyncio.get_running_loop().time() else None

    async def mget(self, names: list[str]) -> list[bytes | None]:
        await self._pause()
        found = [self._read(name) for name in names]
        await self._pause()
        return found

    async def get(self, name: str) -> bytes | None:
        await self._pause()
        value = self._read(name)
        await self._pause()
        return value

    async def set(self, name: str, value: str | bytes, *, ex: int | None = None, nx: bool = False) -> bool:
        await self._pause()
        if not nx or self._read(name) is None:
            expires = float("inf") if ex is None else asyncio.get_running_loop().time() + ex
            self.values[name] = (value.encode() if isinstance(value, str) else value, expires)
        await self._pause()
        return True


def cache_on(redis: FakeRedis | None, **options: Any) -> Cache:
    return Cache(redis, Metrics("test"), **({"timeout": 0.05, "retry_after": 0.05} | options))  # type: ignore[arg-type]


def loader(
    value: Callable[[], object], calls: list[object] | None = None, pause: float = 0
) -> Callable[[], Awaitable[Answer]]:
    async def load() -> Answer:
        found = value()
        if calls is not None:
            calls.append(found)
        await asyncio.sleep(pause)
        return Answer(str(found).encode(), [(b"x-a", b"b")])

    return load


POSTS = (Scope.POSTS,)


async def test_an_answer_is_loaded_once() -> None:
    redis = FakeRedis()
    calls: list[object] = []
    cache = cache_on(redis)
    for _ in range(3):
        assert (await cache.get("key", POSTS, loader(lambda: 1, calls))).body == b"1"
    assert calls == [1]


async def test_replicas_share_answers_with_their_headers() -> None:
    redis = FakeRedis()
    calls: list[object] = []
    first = await cache_on(redis).get("key", POSTS, loader(lambda: 1, calls))
    second = await cache_on(redis).get("key", POSTS, loader(lambda: 1, calls))
    assert calls == [1]
    assert (second.body, second.full, second.etag) == (first.body, first.full, first.etag)


async def test_at_a_miss_one_loads_for_all() -> None:
    calls: list[object] = []
    cache = cache_on(FakeRedis())
    answers = await asyncio.gather(*(cache.get("key", POSTS, loader(lambda: 1, calls, 0.01)) for _ in range(50)))
    assert calls == [1]
    assert {answer.body for answer in answers} == {b"1"}


async def test_reads_of_the_generation_are_shared() -> None:
    redis = FakeRedis()
    cache = cache_on(redis)
    await cache.get("key", POSTS, loader(lambda: 1))
    before = redis.commands
    await asyncio.gather(*(cache.get("key", POSTS, loader(lambda: 1)) for _ in range(100)))
    assert redis.commands - before <= 4  # two reads at most, each counted before and after


async def test_one_who_leaves_does_not_take_the_answer_from_others() -> None:
    cache = cache_on(FakeRedis())
    load = loader(lambda: 1, None, 0.02)
    tasks = [asyncio.create_task(cache.get("key", POSTS, load)) for _ in range(3)]
    await asyncio.sleep(0.01)
    tasks[0].cancel()
    assert [(await task).body for task in tasks[1:]] == [b"1", b"1"]


async def test_errors_reach_everyone_and_are_not_kept() -> None:
    cache = cache_on(FakeRedis())

    async def fail() -> Answer:
        await asyncio.sleep(0.01)
        raise ValueError("no")

    results = await asyncio.gather(*(cache.get("key", POSTS, fail) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError] * 3
    assert (await cache.get("key", POSTS, loader(lambda: 1))).body == b"1"


async def test_answers_are_kept_again_after_a_write() -> None:
    cache = cache_on(FakeRedis())
    await cache.mark(Scope.POSTS)
    await cache.replace(Scope.POSTS)
    calls: list[object] = []
    for _ in range(2):
        await cache.get("key", POSTS, loader(lambda: 1, calls))
    assert calls == [1]


async def test_a_write_outdates_its_scope_alone() -> None:
    cache = cache_on(FakeRedis())
    calls: list[object] = []
    for scopes in (POSTS, (Scope.COMMENTS,), (Scope.POSTS, Scope.COMMENTS)):
        await cache.get(str(scopes), scopes, loader(lambda: 1, calls))
    await cache.mark(Scope.COMMENTS)
    await cache.replace(Scope.COMMENTS)
    calls.clear()
    for scopes in (POSTS, (Scope.COMMENTS,), (Scope.POSTS, Scope.COMMENTS)):
        await cache.get(str(scopes), scopes, loader(lambda: 2, calls))
    assert calls == [2, 2]


async def test_nothing_is_kept_while_a_write_is_under_way() -> None:
    redis = FakeRedis()
    cache = cache_on(redis)
    await cache.mark(Scope.POSTS)
    calls: list[object] = []
    for _ in range(2):
        await cache.get("key", POSTS, loader(lambda: 1, calls))
    assert calls == [1, 1]
    assert not [name for name in redis.values if "answer" in name]


async def test_a_writer_that_dies_after_its_commit_leaves_nothing_stale() -> None:
    redis = FakeRedis()
    value = 1
    reader, writer = cache_on(redis), cache_on(redis)
    await reader.get("key", POSTS, loader(lambda: value))
    await writer.mark(Scope.POSTS)
    value = 2  # committed, and then the process is gone: no replace()
    assert (await reader.get("key", POSTS, loader(lambda: value))).body == b"2"


async def test_evicted_generations_outdate_everything() -> None:
    redis = FakeRedis()
    cache = cache_on(redis)
    await cache.get("key", POSTS, loader(lambda: 1))
    for name in [name for name in redis.values if "generation" in name]:
        del redis.values[name]
    assert (await cache.get("key", POSTS, loader(lambda: 2))).body == b"2"


async def test_without_redis_everything_is_loaded() -> None:
    cache = cache_on(None)
    calls: list[object] = []
    for _ in range(2):
        await cache.get("key", POSTS, loader(lambda: 1, calls))
    await cache.mark(Scope.POSTS)
    await cache.replace(Scope.POSTS)
    assert calls == [1, 1]


@pytest.mark.parametrize("failure", ["down", "stuck"])
async def test_a_redis_that_fails_costs_no_answer_and_shows_nothing_old_when_it_is_back(failure: str) -> None:
    redis = FakeRedis()
    cache = cache_on(redis)
    value = 1
    await cache.get("key", POSTS, loader(lambda: value))
    setattr(redis, failure, True)
    await cache.mark(Scope.POSTS)
    value = 2
    await cache.replace(Scope.POSTS)
    assert (await cache.get("key", POSTS, loader(lambda: value))).body == b"2"
    value = 3  # and once more while it is away
    await cache.mark(Scope.POSTS)
    await cache.replace(Scope.POSTS)
    setattr(redis, failure, False)
    for _ in range(30):
        assert (await cache.get("key", POSTS, loader(lambda: value))).body == b"3"
        await asyncio.sleep(0.01)
    # It is used again.
    calls: list[object] = []
    await cache.get("key", POSTS, loader(lambda: value, calls))
    assert calls == []
    await cache.close()


async def test_a_stuck_redis_is_waited_for_once() -> None:
    redis = FakeRedis()
    redis.stuck = True
    cache = cache_on(redis, timeout=0.1, retry_after=600)
    for _ in range(20):
        assert (await cache.get("key", POSTS, loader(lambda: 1))).body == b"1"
    assert redis.commands == 1
    await cache.close()


async def test_what_is_kept_in_the_process_is_bounded() -> None:
    cache = cache_on(FakeRedis(), local_bytes=1000)
    for number in range(50):
        await cache.get(f"key{number}", POSTS, loader(lambda: "x" * 100))
    assert cache._local_size <= 1000
    assert len(cache._local) == 10
    assert "key49" in cache._local


@pytest.mark.parametrize(
    "kept", [b"", b"\n", b"nonsense", b"[1,2,3]\nbody", b"null\nx", b'["stamp"]\nx', b"\xff\n\xff"]
)
async def test_foreign_values_in_redis_are_misses(kept: bytes) -> None:
    redis = FakeRedis()
    cache = cache_on(redis)
    redis.values["blog:2:answer:key"] = (kept, float("inf"))
    assert (await cache.get("key", POSTS, loader(lambda: 1))).body == b"1"


def test_an_answer_survives_packing() -> None:
    answer = Answer(b"line\nline\n\x00\xff", [(b"a", "é".encode("latin-1"))], b'"1.2"')
    copy = Answer.unpack(answer.pack(b"stamp"), b"stamp")
    assert copy is not None
    assert (copy.body, copy.headers, copy.etag) == (answer.body, answer.headers, answer.etag)
    assert Answer.unpack(answer.pack(b"stamp"), b"other") is None


def test_etags_differ_by_body_and_headers() -> None:
    tags = {Answer(body, [(b"h", value)]).etag for body in (b"1", b"2") for value in (b"1", b"2")}
    assert len(tags) == 4


@pytest.mark.parametrize("seed", range(60))
async def test_random_reads_and_writes_of_two_replicas(seed: int) -> None:
    """Whoever begins to read after a write was acknowledged sees that write, or a later one."""
    await _random_run(random.Random(seed), replicas=2, failures=False)


@pytest.mark.parametrize("seed", range(60))
async def test_random_reads_and_writes_while_redis_comes_and_goes(seed: int) -> None:
    await _random_run(random.Random(seed), replicas=1, failures=True)


async def _random_run(chance: random.Random, *, replicas: int, failures: bool) -> None:
    redis = FakeRedis(chance)
    caches = [cache_on(redis, retry_after=0.001, patience=0.005) for _ in range(replicas)]
    committed = acknowledged = 0

    async def settle() -> None:
        for _ in range(chance.randrange(5)):
            await asyncio.sleep(0)

    async def write(cache: Cache) -> None:
        nonlocal committed, acknowledged
        await settle()
        await cache.mark(Scope.POSTS)
        await settle()
        committed += 1
        mine = committed
        await settle()
        await cache.replace(Scope.POSTS)
        acknowledged = max(acknowledged, mine)

    async def read(cache: Cache) -> None:
        await settle()
        least = acknowledged

        async def load() -> Answer:
            await settle()
            found = committed
            await settle()
            return Answer(str(found).encode(), [])

        answer = await cache.get(f"key{chance.randrange(2)}", POSTS, load)
        assert least <= int(answer.body) <= committed

    async def trouble() -> None:
        redis.down = not redis.down
        await asyncio.sleep(chance.choice([0, 0.002]))

    for _ in range(40):
        batch: list[Awaitable[None]] = []
        for _ in range(chance.randrange(1, 8)):
            action = chance.choices([read, write], [5, 2])[0]
            batch.append(action(chance.choice(caches)))
        if failures and chance.random() < 0.3:
            batch.append(trouble())
        await asyncio.gather(*batch)
    for cache in caches:
        await cache.close()
