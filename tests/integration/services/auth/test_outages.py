"""What auth-service does while something it needs is away."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import httpx

from auth_service import main
from auth_service.main import create_app
from tests.harness.inprocess import running
from tests.harness.postgres import Postgres
from tests.harness.processes import free_port
from tests.harness.services import write_signing_key
from tests.integration.services.platform import Memory, eventually, start_platform

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.harness.redis import Redis
    from tests.integration.services.platform import Account, Platform


async def test_user_service_away_is_503_and_uses_nothing_up(
    platform: Platform, edge: httpx.AsyncClient, account: Account
) -> None:
    await account.login(edge)
    token = edge.cookies["refresh_token"]
    settings = platform.parts.auth_settings(port=free_port(), user_service_url=f"http://127.0.0.1:{free_port()}")
    app = create_app(settings, Memory("auth-service"))
    async with running(app, settings.port), httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}") as client:
        for response in (
            await client.post("/login", json=account.credentials),
            await client.post("/auth/refresh", headers={"cookie": f"refresh_token={token}"}),
        ):
            assert response.status_code == 503
            assert response.headers["retry-after"] == "1"
            assert "set-cookie" not in response.headers
    assert (await edge.post("/api/auth/refresh")).status_code == 200


async def test_postgresql_away_is_503_and_comes_back(redis_server: Redis, state_folder: Path) -> None:
    """Kill it under the running services, then start it again; nothing has to be restarted."""
    postgres = Postgres(state_folder / "killed", durable=True)
    await asyncio.to_thread(postgres.start)
    await asyncio.to_thread(postgres.create_roles)
    await asyncio.to_thread(postgres.migrate)
    try:
        async with AsyncExitStack() as stack:
            platform = await start_platform(stack, postgres, redis_server, "titanium", state_folder)
            client = await stack.enter_async_context(httpx.AsyncClient(base_url=platform.edge, timeout=20))
            body = {"username": "survivor", "email": "s@example.org", "password": "long enough"}
            assert (await client.post("/api/register", json=body)).status_code == 201
            assert (await client.post("/api/login", json=body)).status_code == 200
            token = (await client.post("/api/login", json=body)).json()["token"]

            await asyncio.to_thread(postgres.kill)
            for response in (
                await client.post("/api/login", json=body),
                await client.post("/api/auth/refresh"),
                await client.post("/api/register", json=body | {"username": "else"}),
                await client.get("/api/users/survivor"),
            ):
                assert response.status_code == 503, response.text
                assert response.headers["retry-after"] == "1"
                assert response.json() == {"detail": "Service temporarily unavailable, try again"}
            for url in (platform.auth, platform.user):
                assert (await client.get(f"{url}/health")).status_code == 200
                ready = await client.get(f"{url}/ready")
                assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
                assert ready.json()["checks"]["database"] == "unavailable"
            verified = await client.get("/api/auth/verify", headers={"authorization": f"Bearer {token}"})
            assert verified.status_code == 200

            await asyncio.to_thread(postgres.start)
            assert (await client.post("/api/login", json=body)).status_code == 200
            assert (await client.get("/api/users/survivor")).status_code == 200
            assert (await client.get(f"{platform.auth}/ready")).status_code == 200
    finally:
        await asyncio.to_thread(postgres.stop)


async def test_a_service_starts_without_postgresql(platform: Platform) -> None:
    settings = platform.parts.auth_settings(port=free_port(), database_port=free_port())
    app = create_app(settings, Memory("auth-service"))
    async with running(app, settings.port), httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}") as client:
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/ready")).status_code == 503
        response = await client.post("/auth/refresh", headers={"cookie": "refresh_token=x"})
        assert response.status_code == 503


async def test_a_slow_query_is_503(platform: Platform, account: Account) -> None:
    """A lock that somebody holds must not hold the request."""
    settings = platform.parts.auth_settings(port=free_port(), database_timeout=0.5)
    app = create_app(settings, Memory("auth-service"))
    async with running(app, settings.port), httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}") as client:
        assert (await client.post("/login", json=account.credentials)).status_code == 200
        database = platform.auth_app.state.database
        async with database.transaction() as session:
            await session.execute("test", "LOCK TABLE auth.families IN ACCESS EXCLUSIVE MODE")
            began = time.monotonic()
            response = await client.post("/login", json=account.credentials)
            assert response.status_code == 503
            assert time.monotonic() - began < 2
        assert (await client.post("/login", json=account.credentials)).status_code == 200


async def test_deleting_an_account_succeeds_while_sessions_cannot_be_forgotten(
    platform: Platform, account: Account
) -> None:
    settings = platform.parts.auth_settings(port=free_port(), database_timeout=0.3)
    app = create_app(settings, Memory("auth-service"))
    async with running(app, settings.port), httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}") as client:
        token = (await client.post("/login", json=account.credentials)).json()["token"]
        async with platform.auth_app.state.database.transaction() as session:
            await session.execute("test", "LOCK TABLE auth.families IN ACCESS EXCLUSIVE MODE")
            response = await client.post(
                "/auth/account/deletion",
                json={"password": account.password},
                headers={"authorization": f"Bearer {token}"},
            )
            assert response.status_code == 204


async def test_changing_keys_ends_no_session(
    platform: Platform, tmp_path: Path, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "KEY_CHECK", 0.05)
    write_signing_key(tmp_path)
    settings = platform.parts.auth_settings(port=free_port(), jwt_key_dir=tmp_path)
    app = create_app(settings, Memory("auth-service"))
    async with running(app, settings.port), httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}") as client:
        old = (await client.post("/login", json=account.credentials)).json()["token"]

        async def keys() -> list[str]:
            return [key["kid"] for key in (await client.get("/.well-known/jwks.json")).json()["keys"]]

        before = await keys()
        os.rename(tmp_path / "current.pem", tmp_path / "previous.pem")  # noqa: PTH104
        write_signing_key(tmp_path)

        async def changed() -> bool:
            return await keys() != before

        await eventually(changed)
        after = await keys()
        assert len(after) == 2
        assert after[1:] == before
        new = (await client.post("/login", json=account.credentials)).json()["token"]
        for token in (old, new):
            assert (await client.get("/verify", headers={"authorization": f"Bearer {token}"})).status_code == 200
        (tmp_path / "previous.pem").unlink()

        async def forgotten() -> bool:
            return len(await keys()) == 1

        await eventually(forgotten)
        assert (await client.get("/verify", headers={"authorization": f"Bearer {old}"})).status_code == 401


async def test_sessions_that_are_over_are_removed(
    platform: Platform, edge: httpx.AsyncClient, account: Account
) -> None:
    await account.login(edge)
    database = platform.auth_app.state.database
    await database.execute(
        "test", "UPDATE auth.families SET expires_at = now() - interval '2 days' WHERE user_id = $1", account.id
    )

    async def removed() -> bool:
        count = await database.fetchval("test", "SELECT count(*) FROM auth.families WHERE user_id = $1", account.id)
        return bool(count == 0)

    settings = platform.parts.auth_settings(port=free_port())
    async with running(create_app(settings, Memory("auth-service")), settings.port):
        await eventually(removed)
    assert (await edge.post("/api/auth/refresh")).status_code == 401
