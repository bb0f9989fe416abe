"""user-service's lines of the HTTP contract, at the edge."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import httpx

    from tests.harness.postgres import Postgres
    from tests.integration.services.platform import Account, Platform


@pytest.mark.parametrize("path", ["/api/register", "/api/users"])
async def test_register(edge: httpx.AsyncClient, fresh: Account, path: str) -> None:
    response = await edge.post(path, json=fresh.registration)
    assert response.status_code == 201
    body = response.json()
    assert isinstance(body.pop("id"), int)
    assert body == {"username": fresh.username, "email": fresh.email}


@pytest.mark.parametrize("change", [str, str.upper, str.title])
async def test_a_username_is_taken_in_any_letter_case(edge: httpx.AsyncClient, account: Account, change: type) -> None:
    body = {"username": change(account.username), "email": "else@example.org", "password": "long enough"}
    response = await edge.post("/api/users", json=body)
    assert (response.status_code, response.json()) == (400, {"detail": "Username already exists"})


async def test_an_email_address_is_taken_in_any_letter_case(edge: httpx.AsyncClient, account: Account) -> None:
    body = {"username": "somebody-else", "email": account.email.upper(), "password": "long enough"}
    response = await edge.post("/api/users", json=body)
    assert (response.status_code, response.json()) == (400, {"detail": "Email already exists"})


async def test_a_name_that_looks_the_same_is_the_same(edge: httpx.AsyncClient) -> None:
    first = {"username": "straße", "email": "one@example.org", "password": "long enough"}
    assert (await edge.post("/api/users", json=first)).status_code == 201
    for name in ("STRASSE", "ｓｔｒａｓｓｅ"):
        response = await edge.post("/api/users", json=first | {"username": name, "email": "two@example.org"})
        assert response.status_code == 400, name


async def test_of_two_at_once_one_gets_the_name(edge: httpx.AsyncClient, fresh: Account) -> None:
    responses = await asyncio.gather(
        *(edge.post("/api/users", json=fresh.registration | {"email": f"{n}-{fresh.email}"}) for n in range(12))
    )
    statuses = sorted(response.status_code for response in responses)
    assert statuses == [201] + [400] * 11


async def test_a_double_click_makes_one_account(edge: httpx.AsyncClient, fresh: Account) -> None:
    responses = await asyncio.gather(*(edge.post("/api/users", json=fresh.registration) for _ in range(8)))
    assert sorted(response.status_code for response in responses) == [201] + [400] * 7


@pytest.mark.parametrize(
    "change",
    [
        {"username": ""},
        {"username": "a" * 101},
        {"username": "with space"},
        {"username": "<script>"},
        {"username": "a/b"},
        {"username": "nul\0"},
        {"username": "verify-credentials"},
        {"username": 10**400},
        {"username": None},
        {"username": ["a"]},
        {"email": "not an address"},
        {"email": "a@b@c"},
        {"email": "\0@example.org"},
        {"email": "a" * 250 + "@example.org"},
        {"password": "short"},
        {"password": "p" * 201},
        {"password": "nul\0 inside it"},
    ],
)
async def test_input_that_does_not_fit_is_422(
    edge: httpx.AsyncClient, fresh: Account, change: dict[str, object]
) -> None:
    response = await edge.post("/api/users", json=fresh.registration | change)
    assert response.status_code == 422
    for error in response.json()["detail"]:
        assert error.keys() == {"type", "loc", "msg"}
    assert "password" not in str(response.json()) or "loc" in response.text


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"username":"\\ud800","email":"a@example.org","password":"long enough"}', 422),
        (b'{"username":"abc","email":"a@example.org","password":"\\udfff long enough"}', 422),
        (b'{"\\ud800":1}', 422),
        (b"[" * 50_000, 422),
        (b"\xff\xfe", 422),
        (b"{", 422),
        (b"", 422),
        (b'{"username":' + b"9" * 6000 + b"}", 422),
        (b"null", 422),
    ],
)
async def test_broken_bodies_are_refused(edge: httpx.AsyncClient, content: bytes, status: int) -> None:
    response = await edge.post("/api/users", content=content, headers={"content-type": "application/json"})
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"


async def test_the_email_address_is_shown_to_its_owner_alone(
    edge: httpx.AsyncClient, account: Account, other: Account
) -> None:
    path = f"/api/users/{account.username}"
    public = {"id": account.id, "username": account.username}
    assert (await edge.get(path)).json() == public
    assert (await edge.get(path, headers=await other.bearer(edge))).json() == public
    assert (await edge.get(path, headers=await account.bearer(edge))).json() == public | {"email": account.email}
    assert (await edge.get(path.upper().replace("/API/USERS", "/api/users"))).json() == public


async def test_an_unknown_user_is_404(edge: httpx.AsyncClient) -> None:
    for name in ("nobody", "%00nobody".replace("%00", ""), "x" * 100):
        response = await edge.get(f"/api/users/{name}")
        assert (response.status_code, response.json()) == (404, {"detail": "User not found"})


@pytest.mark.parametrize("name", ["%00", "a%00b", "x" * 101])
async def test_an_impossible_name_is_422(edge: httpx.AsyncClient, name: str) -> None:
    assert (await edge.get(f"/api/users/{name}")).status_code == 422


async def test_a_wrong_token_is_401_even_where_none_is_needed(edge: httpx.AsyncClient, account: Account) -> None:
    response = await edge.get(f"/api/users/{account.username}", headers={"authorization": "Bearer wrong"})
    assert (response.status_code, response.json()) == (401, {"detail": "Invalid token"})


async def test_passwords_are_stored_as_argon2id(platform: Platform, postgres: Postgres, account: Account) -> None:
    async def read() -> str:
        def query() -> str:
            result: str = postgres.administer(
                lambda connection: connection.fetchval(
                    "SELECT password_hash FROM users.accounts WHERE id = $1", account.id
                ),
                platform.parts.database,
            )
            return result

        return await asyncio.to_thread(query)

    assert (await read()).startswith("$argon2id$v=19$m=8192,t=1,p=1$")
