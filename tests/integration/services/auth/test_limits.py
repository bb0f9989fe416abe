"""Rate limits of logins, shared through Redis."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import httpx

from auth_service.main import create_app
from tests.harness.inprocess import running
from tests.harness.processes import free_port
from tests.integration.services.platform import Memory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.harness.redis import Redis
    from tests.integration.services.platform import Account, Platform


@asynccontextmanager
async def replicas(platform: Platform, count: int, **settings: object) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Replicas of auth-service, and a client of each."""
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(count):
            chosen = platform.parts.auth_settings(port=free_port(), **settings)
            app = create_app(chosen, Memory("auth-service"))
            await stack.enter_async_context(running(app, chosen.port))
            clients.append(
                await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{chosen.port}"))
            )
        yield clients


async def test_logins_are_counted_by_client_address_over_all_replicas(platform: Platform, account: Account) -> None:
    async with replicas(platform, 2, rate_limit_login="3/minute") as clients:
        statuses = []
        for n in range(5):
            response = await clients[n % 2].post(
                "/login", json=account.credentials, headers={"x-forwarded-for": "spoofed, 198.51.100.7"}
            )
            statuses.append(response.status_code)
        assert statuses == [200, 200, 200, 429, 429]
        assert response.json() == {"detail": "Too many requests, try again later"}
        assert 1 <= int(response.headers["retry-after"]) <= 60
        assert response.headers["ratelimit-policy"] == '"login";q=3;w=60'
        assert response.headers["ratelimit"].startswith('"login";r=0;t=')
        elsewhere = await clients[0].post(
            "/login", json=account.credentials, headers={"x-forwarded-for": "198.51.100.7, 198.51.100.8"}
        )
        assert elsewhere.status_code == 200


async def test_wrong_passwords_are_counted_by_account(platform: Platform, account: Account, other: Account) -> None:
    async with replicas(platform, 1, rate_limit_account="3/minute") as (client,):
        wrong = account.credentials | {"password": "wrong"}
        for address in range(3):
            headers = {"x-forwarded-for": f"198.51.100.{address}"}
            assert (await client.post("/login", json=wrong, headers=headers)).status_code == 401
        blocked = account.credentials | {"username": account.username.upper()}
        assert (await client.post("/login", json=blocked)).status_code == 429
        assert (await client.post("/login", json=other.credentials)).status_code == 200


async def test_a_right_password_starts_anew(platform: Platform, account: Account) -> None:
    async with replicas(platform, 1, rate_limit_account="2/minute") as (client,):
        for _ in range(6):
            assert (await client.post("/login", json=account.credentials)).status_code == 200


async def test_verify_is_never_limited(platform: Platform, account: Account) -> None:
    async with replicas(platform, 1, rate_limit_login="1/minute", rate_limit_account="1/minute") as (client,):
        token = (await client.post("/login", json=account.credentials)).json()["token"]
        for _ in range(30):
            assert (await client.get("/verify", headers={"authorization": f"Bearer {token}"})).status_code == 200


async def test_without_redis_logins_pass_and_a_metric_tells(
    platform: Platform, account: Account, redis_server: Redis
) -> None:
    dead = {"redis_host": redis_server.host, "redis_port": free_port()}
    async with replicas(platform, 1, rate_limit_login="1/minute", rate_limit_account="1/minute", **dead) as (client,):
        for _ in range(3):
            response = await client.post("/login", json=account.credentials)
            assert response.status_code == 200
            assert response.elapsed.total_seconds() < 2
        metrics = (await client.get("/metrics")).text
        assert 'rate_limit_errors_total{service="auth-service"} 6.0' in metrics
        ready = await client.get("/ready")
        assert ready.status_code == 200
        assert ready.json()["checks"] == {"redis": "unavailable", "database": "ok"}


async def test_no_redis_configured_is_fine(platform: Platform, account: Account) -> None:
    async with replicas(platform, 1, rate_limit_login="1/minute", redis_host="") as (client,):
        for _ in range(3):
            assert (await client.post("/login", json=account.credentials)).status_code == 200
        assert (await client.get("/ready")).json()["checks"] == {"database": "ok"}
        assert (await client.get("/stats")).json()["redis"] == {"configured": False, "available": False}
