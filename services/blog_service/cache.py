"""Answers kept in Redis and in this process, never older than the last acknowledged write.

Every answer is stored with the *generation* of what it was made from, a random value in Redis that each write replaces.
An answer is served only while its generation is still the current one, so one read of a few bytes validates a copy
that lies ready in this process, and nothing needs to be deleted, whatever offsets and limits were asked for.

Why no read is older than a write that was acknowledged before it:

- A writer replaces the generation after its commit and before it answers. Whoever loads an answer reads the generation
  first: what was loaded before a commit carries a generation that is no longer current.
- Before its commit a writer puts a marker in the generation's place. Nothing is stored under a marker, so a writer that
  dies between commit and replacement leaves no stale answer behind.
- Requests share a read of the generation, or a load, only if it began after they arrived, or under a generation that
  they themselves have read.
- If Redis fails, this process stops using it, and starts again only once it could replace the generation, as Redis may
  have missed a replacement. A writer waits for that, as others may still reach Redis; but not for longer than `patience`
  in one outage. Every connection begins with one too: a Redis that was restarted behind an idle process
  may have come back with values from before.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import orjson
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from redis.asyncio.connection import AbstractConnection

    from titanium_common.metrics import Metrics
    from titanium_common.settings import Settings

logger = logging.getLogger(__name__)

_PREFIX: Final = "blog:2:"
_MARKER: Final = b"!"
#: How long a marker is believed, in seconds: longer than any commit takes.
_MARKER_SECONDS: Final = 15

Header = tuple[bytes, bytes]


class Scope(IntEnum):
    """What an answer is made from, and so which writes outdate it."""

    POSTS = 0
    COMMENTS = 1


_GENERATION_KEYS: Final = [f"{_PREFIX}generation:{scope.name.lower()}" for scope in Scope]


@dataclass(slots=True)
class Answer:
    """A complete answer: headers and the bytes of the body, sent as they are.

    Parameters:
        body: the bytes of the body.
        headers: all headers but `etag`, `content-length` and those that middleware adds; names in lower case.
        etag: the strong entity tag with its quotes; computed from headers and body if empty.
    """

    body: bytes
    headers: list[Header]
    etag: bytes = b""
    full: list[Header] = field(init=False)
    not_modified: list[Header] = field(init=False)
    stamp: bytes = field(init=False, default=b"")
    expires: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        if not self.etag:
            digest = blake2b(self.body, digest_size=12)
            for name, value in self.headers:
                digest.update(name + value)
            self.etag = b'"' + digest.hexdigest().encode() + b'"'
        self.full = [*self.headers, (b"etag", self.etag), (b"content-length", str(len(self.body)).encode())]
        # RFC 9110 15.4.5: what the full answer would have sent of these, and nothing that describes the body.
        kept = (b"cache-control", b"content-location", b"vary", b"link", b"x-total-count")
        self.not_modified = [header for header in self.headers if header[0] in kept] + [(b"etag", self.etag)]

    def pack(self, stamp: bytes) -> bytes:
        """The bytes that Redis keeps: a line of JSON, then the body untouched."""
        meta = [stamp.decode(), self.etag.decode("latin-1")]
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers]
        return orjson.dumps([*meta, headers]) + b"\n" + self.body

    @classmethod
    def unpack(cls, packed: bytes, stamp: bytes) -> Answer | None:
        """The answer in `packed`, or None if it carries another stamp than `stamp` or is not one of ours."""
        line, _, body = packed.partition(b"\n")
        try:
            kept, etag, headers = orjson.loads(line)
            if kept.encode() != stamp:
                return None
            decoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
            return cls(body, decoded, etag.encode("latin-1"))
        except (ValueError, TypeError, AttributeError):
            return None


def client(settings: Settings) -> Redis | None:
    """The client that a `Cache` needs, apart from the one for rate limits: failures are to be seen, not retried."""
    if not settings.redis_host:
        return None
    return Redis(
        host=settings.redis_host,
        port=settings.redis_port,
        password=settings.redis_password.get_secret_value() or None,
        socket_connect_timeout=settings.redis_timeout,
        socket_timeout=settings.redis_timeout,
        client_name=settings.service,
        retry=Retry(NoBackoff(), 0),
        max_connections=32,
        redis_connect_func=_connected,
    )


async def _connected(connection: AbstractConnection) -> None:
    await connection.on_connect()
    for name in _GENERATION_KEYS:
        await connection.send_command("SET", name, secrets.token_hex(8))
        await connection.read_response()


class Cache:
    """Answers by key, valid until the next write of what they are made from.

    Parameters:
        redis: what `client` returned, or None to load every answer afresh.
        metrics: counts hits and misses, in this process (`local`) and in Redis (`shared`), and Redis' errors.
        timeout: seconds after which a command to Redis is given up and the cache is not used for a while.
        retry_after: seconds between attempts to use Redis again, once the first and faster ones have failed.
        patience: seconds from the beginning of an outage in which a writer waits for Redis to be back, so that no other
            replica, one for which Redis still answers, serves what the write outdated.
        ttl: seconds that an answer is kept; also the longest a replica cut off from Redis can be behind the others.
        local_bytes: size of what is kept in this process.
    """

    def __init__(
        self,
        redis: Redis | None,
        metrics: Metrics,
        *,
        timeout: float = 0.25,
        retry_after: float = 1.0,
        patience: float = 1.0,
        ttl: int = 60,
        local_bytes: int = 8 << 20,
    ) -> None:
        self._redis = redis
        self._metrics = metrics
        self._timeout = timeout
        self._retry_after = retry_after
        self._patience = patience
        self._ttl = ttl
        self._local: OrderedDict[str, Answer] = OrderedDict()
        self._local_bytes = local_bytes
        self._local_size = 0
        self._loads: dict[tuple[str, bytes], asyncio.Task[Answer]] = {}
        self._waiting: list[asyncio.Future[list[bytes] | None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading = False
        self._trusted = redis is not None
        self._regained = asyncio.Event()
        self._outage_began = 0.0

    async def get(self, key: str, scopes: Sequence[Scope], load: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer kept under `key`, or a new one from `load`.

        Parameters:
            key: names the answer; at most a few hundred characters, whatever a client sent already checked.
            scopes: what the answer is made from.
            load: makes the answer. Its errors reach the caller and are not kept.
        """
        generations = await self._generations()
        if generations is None:
            return await load()
        stamp = b".".join([generations[scope] for scope in scopes])
        answer = self._local.get(key)
        now = asyncio.get_running_loop().time()
        if answer is not None and answer.stamp == stamp and answer.expires > now:
            self._local.move_to_end(key)
            self._metrics.cache_hit("local")
            return answer
        self._metrics.cache_miss("local")
        flight = (key, stamp)
        task = self._loads.get(flight)
        if task is None:
            task = asyncio.ensure_future(self._load(key, stamp, load))
            self._loads[flight] = task
            task.add_done_callback(lambda _: self._loads.pop(flight, None))
        # Shielded: one client that goes away must not take the answer from the others who wait for it.
        return await asyncio.shield(task)

    async def mark(self, *scopes: Scope) -> None:
        """To be called just before a commit that outdates answers; `replace` has to follow it, come what may."""
        await self._publish(scopes, _MARKER + secrets.token_hex(8).encode(), _MARKER_SECONDS)

    async def replace(self, *scopes: Scope) -> None:
        """To be called after the commit and before the writer is answered: outdates what was loaded before.

        Returns only once the generation is replaced, or Redis is known to be out of reach and not used until it is.
        Goes on if the caller is cancelled.
        """
        await asyncio.shield(self._spawn(self._replace(scopes)))

    async def close(self) -> None:
        """Ends what runs in the background; the client itself is the owner's to close."""
        for task in (*self._tasks, *self._loads.values()):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._loads.values(), return_exceptions=True)

    def _generations(self) -> Awaitable[list[bytes] | None]:
        """The current generations, read after this call; None without Redis.

        Calls that come while a read is under way share the next one, as commits share a flush: at any load there is
        one small read at a time.
        """
        future: asyncio.Future[list[bytes] | None] = asyncio.get_running_loop().create_future()
        if not self._trusted:
            future.set_result(None)
            return future
        self._waiting.append(future)
        if not self._reading:
            self._reading = True
            self._spawn(self._read_generations())
        return future

    async def _read_generations(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                generations: list[bytes] | None = None
                try:
                    generations = await self._fetch_generations()
                finally:
                    for future in waiting:
                        if not future.done():
                            future.set_result(generations)
        finally:
            self._reading = False

    async def _fetch_generations(self) -> list[bytes] | None:
        if not self._trusted or self._redis is None:
            return None
        try:
            async with asyncio.timeout(self._timeout):
                found: list[Any] = await self._redis.mget(_GENERATION_KEYS)
                for index, value in enumerate(found):
                    if value is None:  # the first use, or evicted: a new random one outdates whatever was kept
                        name = _GENERATION_KEYS[index]
                        await self._redis.set(name, secrets.token_hex(8), nx=True)
                        found[index] = await self._redis.get(name)
        except (RedisError, OSError, TimeoutError) as error:
            self._distrust(error)
            return None
        return None if None in found else found

    async def _load(self, key: str, stamp: bytes, load: Callable[[], Awaitable[Answer]]) -> Answer:
        final = _MARKER not in stamp
        name = f"{_PREFIX}answer:{key}"
        if final and (packed := await self._command(lambda redis: redis.get(name))) is not None:
            answer = Answer.unpack(packed, stamp)
            if answer is not None:
                self._metrics.cache_hit("shared")
                self._keep(key, stamp, answer)
                return answer
        self._metrics.cache_miss("shared")
        answer = await load()
        if final:
            self._keep(key, stamp, answer)
            await self._command(lambda redis: redis.set(name, answer.pack(stamp), ex=self._ttl))
        return answer

    def _keep(self, key: str, stamp: bytes, answer: Answer) -> None:
        answer.stamp = stamp
        answer.expires = asyncio.get_running_loop().time() + self._ttl
        replaced = self._local.pop(key, None)
        if replaced is not None:
            self._local_size -= len(replaced.body)
        self._local[key] = answer
        self._local_size += len(answer.body)
        while self._local_size > self._local_bytes:
            _, dropped = self._local.popitem(last=False)
            self._local_size -= len(dropped.body)

    async def _command(self, command: Callable[[Redis], Awaitable[Any]]) -> Any:
        if not self._trusted or self._redis is None:
            return None
        try:
            async with asyncio.timeout(self._timeout):
                return await command(self._redis)
        except (RedisError, OSError, TimeoutError) as error:
            self._distrust(error)
            return None

    async def _replace(self, scopes: Sequence[Scope]) -> None:
        while self._redis is not None:
            if await self._publish(scopes, secrets.token_hex(8).encode(), None):
                return
            left = self._outage_began + self._patience - asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(max(left, 0)):
                    await self._regained.wait()
            except TimeoutError:
                return

    async def _publish(self, scopes: Sequence[Scope], value: bytes, seconds: int | None) -> bool:
        """Whether `value` has become the generation of all of `scopes`."""
        for scope in scopes:
            name = _GENERATION_KEYS[scope]
            if not await self._command(lambda redis, name=name: redis.set(name, value, ex=seconds)):  # type: ignore[misc]
                return False
        return True

    def _distrust(self, error: Exception) -> None:
        self._metrics.redis_errors.inc()
        if self._trusted:
            self._trusted = False
            self._regained.clear()
            self._outage_began = asyncio.get_running_loop().time()
            logger.warning(
                "Redis failed (%s); answers are read from the database until it is back", error or type(error)
            )
            self._spawn(self._regain_trust())

    async def _regain_trust(self) -> None:
        redis = self._redis
        pause = self._retry_after / 16
        while redis is not None and not self._trusted:
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._retry_after)
            try:
                async with asyncio.timeout(self._timeout):
                    for name in _GENERATION_KEYS:
                        await redis.set(name, secrets.token_hex(8))
            except (RedisError, OSError, TimeoutError):
                continue
            self._trusted = True
            self._regained.set()
            logger.info("Redis answers again")

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
