"""Redis that may be away: short time limits and a circuit, so that its absence costs little and is never an error."""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from titanium_common.errors import ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from titanium_common.metrics import Metrics
    from titanium_common.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")
D = TypeVar("D")

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds during which a Redis that failed is not asked; doubled with each further failure."""


class RedisUnavailable(ServiceUnavailable):
    """Redis cannot be reached or does not answer in time."""


class Redis:
    """A Redis client whose commands return a default where Redis cannot be asked."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Prepare a client from `settings`; connections are made when they are needed."""
        self._metrics = metrics
        self._pause = FIRST_PAUSE
        self._closed_until = 0.0
        self.client: aioredis.Redis | None = None
        """The library's client, for what has to run on it directly. None where no Redis is configured."""
        if settings.redis_host:
            self.client = aioredis.Redis(
                host=settings.redis_host,
                port=settings.redis_port,
                password=settings.redis_password.get_secret_value() or None,
                socket_connect_timeout=settings.redis_timeout,
                socket_timeout=settings.redis_timeout,
                client_name=settings.service,
                # Once more and at once: a pooled connection may be from before Redis was restarted.
                retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
                max_connections=64,
            )

    @property
    def available(self) -> bool:
        """Whether the next command would be sent."""
        return self.client is not None and monotonic() >= self._closed_until

    async def run(
        self,
        operation: Callable[[aioredis.Redis], Awaitable[T]],
        default: D,
    ) -> T | D:
        """Run `operation(client)` and return its result, or `default` if Redis is away, too slow or refuses.

        The circuit: after a failure nothing is sent for a moment; then one command tries, and the others only follow
        once it has succeeded.
        """
        if self.client is None:
            return default
        now = monotonic()
        if now < self._closed_until:
            self._metrics.redis_errors.inc()
            return default
        probing = self._closed_until > 0
        if probing:
            self._closed_until = now + self._pause
        try:
            result = await operation(self.client)
        except (RedisError, OSError) as error:
            self._failed(error)
            return default
        if probing:
            log.info("Redis answers again")
            self._closed_until, self._pause = 0.0, FIRST_PAUSE
        return result

    def _failed(self, error: Exception) -> None:
        self._metrics.redis_errors.inc()
        if self._closed_until == 0.0:
            log.warning("Redis is not available: %s", type(error).__name__)
        now = monotonic()
        if self._closed_until <= now or self._closed_until == 0.0:
            self._closed_until = now + self._pause
        else:
            self._pause = min(LONGEST_PAUSE, self._pause * 2)
            self._closed_until = now + self._pause

    async def get(self, key: str) -> bytes | None:
        """Return the value at `key`; None if there is none or Redis is away."""
        value = await self.run(lambda client: client.get(key), None)
        return value.encode() if isinstance(value, str) else value

    async def set(self, key: str, value: bytes, ttl: float) -> bool:
        """Store `value` for `ttl` seconds; whether it was stored."""
        return bool(await self.run(lambda client: client.set(key, value, px=max(1, int(ttl * 1000))), default=False))

    async def delete(self, *keys: str) -> bool:
        """Remove `keys`; False if Redis could not be asked."""
        return await self.run(lambda client: client.delete(*keys), None) is not None

    async def check(self) -> None:
        """Raise `RedisUnavailable` unless Redis answers."""
        if not await self.run(lambda client: client.ping(), default=False):
            raise RedisUnavailable

    async def close(self) -> None:
        """Close all connections."""
        if self.client is not None:
            await self.client.aclose()
