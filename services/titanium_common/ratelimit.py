"""Rate limits that all replicas share through Redis. Where Redis is away requests pass, and a metric says so."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from limits import RateLimitItem, parse
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter

from titanium_common.errors import TooManyRequests
from titanium_common.proxies import client_address, client_network

if TYPE_CHECKING:
    import redis.asyncio as aioredis
    from fastapi import Request
    from limits.util import WindowStats

    from titanium_common.metrics import Metrics
    from titanium_common.redis_client import Redis


class RateLimiter:
    """Counts by policy and key in a moving window."""

    def __init__(self, redis: Redis, metrics: Metrics, trusted_proxies: int) -> None:
        """Count in `redis`, by the client address behind `trusted_proxies` proxies."""
        self._redis = redis
        self._metrics = metrics
        self._trusted_proxies = trusted_proxies
        self._window: MovingWindowRateLimiter | None = None
        if redis.client is not None:
            storage = RedisStorage(
                "async+redis://",
                implementation="redispy",
                key_prefix="ratelimit",
                connection_pool=redis.client.connection_pool,
            )
            self._window = MovingWindowRateLimiter(storage)

    def client(self, request: Request) -> str:
        """The key that stands for the request's client: its address, or its /64."""
        return client_network(client_address(request.scope, self._trusted_proxies))

    async def hit(self, request: Request, policy: str, limit: str, key: str) -> None:
        """Count one request and say in its answer how many are left.

        Args:
            request: the request, whose answer gets `RateLimit` and `RateLimit-Policy`.
            policy: name of the limit.
            limit: such as `100/minute`; empty for none.
            key: who is counted: `client(request)`, a user's id, an account's name.

        Raises:
            TooManyRequests: 429 with `Retry-After`.
        """
        window = self._window
        if not limit:
            return
        if window is None:
            self._metrics.rate_limit_errors.inc()
            return
        item = parse(limit)

        async def count(_: aioredis.Redis) -> tuple[bool, WindowStats]:
            allowed = await window.hit(item, policy, key)
            return allowed, await window.get_window_stats(item, policy, key)

        result = await self._redis.run(count, None)
        if result is None:
            self._metrics.rate_limit_errors.inc()
            return
        allowed, stats = result
        seconds = max(1, math.ceil(stats.reset_time - time.time()))
        headers = request.scope["titanium"].headers
        headers += [
            (b"ratelimit-policy", f'"{policy}";q={item.amount};w={item.get_expiry()}'.encode()),
            (b"ratelimit", f'"{policy}";r={max(0, stats.remaining) if allowed else 0};t={seconds}'.encode()),
        ]
        if not allowed:
            self._metrics.rate_limited(policy)
            raise TooManyRequests(headers={"Retry-After": str(seconds)})

    async def forget(self, policy: str, limit: str, key: str) -> None:
        """Start anew for `key`, such as after a login that succeeded."""
        window = self._window
        if not limit or window is None:
            return
        item: RateLimitItem = parse(limit)

        async def clear(_: aioredis.Redis) -> bool:
            await window.clear(item, policy, key)
            return True

        await self._redis.run(clear, default=False)


def limiter(request: Request) -> RateLimiter:
    """The application's rate limiter."""
    result: RateLimiter = request.app.state.limiter
    return result
