"""Routes for auth-service."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.harness.inprocess import running
from tests.harness.processes import free_port
from tests.integration.services.platform import Account, Memory
from user_service.main import create_app

if TYPE_CHECKING:
    from tests.integration.services.platform import Platform


async def test_verify_credentials(user: httpx.AsyncClient, account: Account) -> None:
    response = await user.post("/internal/verify-credentials", json=account.credentials)
    assert response.status_code == 200
    assert response.json() == {"id": account.id, "username": account.username, "credentials_version": 1}


async def test_wrong_and_unknown_look_alike(user: httpx.AsyncClient, account: Account) -> None:
    wrong = await user.post("/internal/verify-credentials", json=account.credentials | {"password": "wrong"})
    unknown = await user.post("/internal/verify-credentials", json={"username": "nobody", "password": "wrong"})
    assert (wrong.status_code, wrong.json()) == (401, {"detail": "Invalid username or password"})
    assert (unknown.status_code, unknown.json()) == (wrong.status_code, wrong.json())


async def test_an_unknown_name_takes_as_long(platform: Platform, account: Account) -> None:
    """With a hash that is worth measuring: the ratio of medians stays far from what skipping the hash would give."""
    settings = platform.parts.user_settings(argon2_memory=65536, argon2_time=2, port=free_port())
    async with (
        running(create_app(settings, Memory("slow")), settings.port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}") as client,
    ):
        assert (await client.post("/internal/verify-credentials", json=account.credentials)).status_code == 200

        async def seconds(body: dict[str, str]) -> float:
            times = []
            for _ in range(5):
                began = time.perf_counter()
                assert (await client.post("/internal/verify-credentials", json=body)).status_code == 401
                times.append(time.perf_counter() - began)
            return sorted(times)[2]

        known = await seconds(account.credentials | {"password": "wrong"})
        unknown = await seconds({"username": "nobody", "password": "wrong"})
        assert 0.4 < unknown / known < 2.5


async def test_new_parameters_rehash_at_login(platform: Platform, account: Account) -> None:
    settings = platform.parts.user_settings(argon2_time=2, port=free_port())
    app = create_app(settings, Memory("rehash"))
    async with running(app, settings.port), httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}") as client:
        response = await client.post("/internal/verify-credentials", json=account.credentials)
        assert response.json()["credentials_version"] == 1
        stored = await app.state.database.fetchval(
            "test", "SELECT password_hash FROM users.accounts WHERE id = $1", account.id
        )
        assert ",t=2," in stored
        assert (await client.post("/internal/verify-credentials", json=account.credentials)).status_code == 200


async def test_more_than_can_wait_get_503(platform: Platform, account: Account) -> None:
    settings = platform.parts.user_settings(
        argon2_memory=65536, argon2_time=3, argon2_threads=1, argon2_queue=1, port=free_port()
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(create_app(settings, Memory("busy")), settings.port))
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}"))
        wrong = account.credentials | {"password": "wrong"}
        responses = await asyncio.gather(*(client.post("/internal/verify-credentials", json=wrong) for _ in range(10)))
        statuses = {response.status_code for response in responses}
        assert statuses == {401, 503}
        assert all("retry-after" in response.headers for response in responses if response.status_code == 503)
        health = await client.get("/health")
        assert health.status_code == 200


async def test_read_account(user: httpx.AsyncClient, account: Account) -> None:
    assert (await user.get(f"/internal/accounts/{account.id}")).json()["username"] == account.username


@pytest.mark.parametrize("account_id", ["0", "-1", "999999999", str(2**63), "9" * 400])
async def test_unknown_accounts_are_404_or_422(user: httpx.AsyncClient, account_id: str) -> None:
    assert (await user.get(f"/internal/accounts/{account_id}")).status_code in {404, 422}


async def test_of_two_password_changes_at_once_one_wins(user: httpx.AsyncClient, account: Account) -> None:
    path = f"/internal/accounts/{account.id}/password"
    responses = await asyncio.gather(
        *(
            user.put(path, json={"current_password": account.password, "new_password": f"new password {n}"})
            for n in range(5)
        )
    )
    assert sorted(response.status_code for response in responses) == [200, 401, 401, 401, 401]
    assert (await user.get(f"/internal/accounts/{account.id}")).json()["credentials_version"] == 2


async def test_delete(user: httpx.AsyncClient, account: Account) -> None:
    path = f"/internal/accounts/{account.id}/deletion"
    assert (await user.post(path, json={"password": "wrong"})).status_code == 401
    assert (await user.post(path, json={"password": account.password})).status_code == 204
    assert (await user.post(path, json={"password": account.password})).status_code == 404
    assert (await user.post("/users", json=account.registration)).status_code == 201
