"""Rate limits without Redis; with it they are tested with auth-service."""

from __future__ import annotations

import pytest
from fastapi import Request

from tests.harness.processes import free_port
from titanium_common.context import new_context
from titanium_common.metrics import Metrics
from titanium_common.ratelimit import RateLimiter
from titanium_common.redis_client import Redis
from titanium_common.settings import Settings


def request() -> Request:
    """A request from 192.0.2.1."""
    scope = {"type": "http", "headers": [], "client": ("192.0.2.1", 1), "titanium": new_context(b"", b"", b"")}
    return Request(scope)


def limiter(metrics: Metrics, **settings: object) -> RateLimiter:
    """A limiter."""
    chosen = Settings(**settings)  # type: ignore[arg-type]
    return RateLimiter(Redis(chosen, metrics), metrics, 0)


@pytest.mark.parametrize("settings", [{}, {"redis_host": "127.0.0.1", "redis_port": 0}])
async def test_it_lets_pass_what_it_cannot_count(settings: dict[str, object]) -> None:
    metrics = Metrics("svc")
    if "redis_port" in settings:
        settings = settings | {"redis_port": free_port()}
    limits = limiter(metrics, **settings)
    one = request()
    for _ in range(3):
        await limits.hit(one, "p", "1/minute", limits.client(one))
    await limits.forget("p", "1/minute", "k")
    assert metrics.registry.get_sample_value("rate_limit_errors_total", {"service": "svc"}) == 3
    assert one.scope["titanium"].headers == []


async def test_no_limit_is_none() -> None:
    metrics = Metrics("svc")
    limits = limiter(metrics)
    await limits.hit(request(), "p", "", "k")
    await limits.forget("p", "", "k")
    assert metrics.registry.get_sample_value("rate_limit_errors_total", {"service": "svc"}) == 0


async def test_a_client_is_its_address() -> None:
    assert limiter(Metrics("svc")).client(request()) == "192.0.2.1"
