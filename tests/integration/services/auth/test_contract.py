"""auth-service's lines of the HTTP contract, at the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt
import pytest

if TYPE_CHECKING:
    import httpx

    from tests.integration.services.platform import Account, Platform

INVALID = {"status": "failed", "message": "Invalid username or password"}


async def test_login(edge: httpx.AsyncClient, account: Account) -> None:
    response = await edge.post("/api/login", json=account.credentials)
    body = response.json()
    assert response.status_code == 200
    assert body["status"] == "success"
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 900
    assert body["user"] == {"id": account.id, "username": account.username}
    assert response.headers["cache-control"] == "no-store"


async def test_the_token_says_who_and_until_when(
    edge: httpx.AsyncClient, auth: httpx.AsyncClient, account: Account
) -> None:
    token = (await account.login(edge))["token"]
    header = jwt.get_unverified_header(token)
    keys = (await auth.get("/.well-known/jwks.json")).json()["keys"]
    assert header["alg"] == "EdDSA"
    assert header["kid"] in {key["kid"] for key in keys}
    claims = jwt.decode(
        token, jwt.PyJWK(keys[0]), algorithms=["EdDSA"], audience="titanium", issuer="titanium/auth-service"
    )
    assert claims["exp"] - claims["iat"] == 900
    assert (claims["sub"], claims["username"]) == (str(account.id), account.username)
    assert account.email not in str(claims)


async def test_the_keys_are_public_ones_only(auth: httpx.AsyncClient) -> None:
    for key in (await auth.get("/.well-known/jwks.json")).json()["keys"]:
        assert key.keys() == {"kty", "crv", "x", "kid", "use", "alg"}


async def test_login_in_any_letter_case(edge: httpx.AsyncClient, account: Account) -> None:
    body = account.credentials | {"username": account.username.upper()}
    response = await edge.post("/api/login", json=body)
    assert response.json()["user"]["username"] == account.username


@pytest.mark.parametrize("change", [{"password": "wrong"}, {"username": "nobody"}, {"username": "\u202e' OR 1=1 --"}])
async def test_a_wrong_login_is_401(edge: httpx.AsyncClient, account: Account, change: dict[str, str]) -> None:
    response = await edge.post("/api/login", json=account.credentials | change)
    assert (response.status_code, response.json()) == (401, INVALID)
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "a"},
        {"username": "", "password": "x"},
        {"username": "a" * 101, "password": "x"},
        {"username": "a", "password": ""},
        {"username": "a", "password": "x" * 201},
        {"username": "a\0", "password": "x"},
        {"username": 10**30, "password": "x"},
        [],
    ],
)
async def test_a_malformed_login_is_422(edge: httpx.AsyncClient, body: object) -> None:
    response = await edge.post("/api/login", json=body)
    assert response.status_code == 422
    assert response.json()["detail"]


async def test_login_by_get_is_401(edge: httpx.AsyncClient, auth: httpx.AsyncClient) -> None:
    for response in (await edge.get("/api/login"), await auth.get("/login")):
        assert response.status_code == 401
        assert response.json()["status"] == "failed"


async def test_verify(edge: httpx.AsyncClient, auth: httpx.AsyncClient, account: Account) -> None:
    headers = await account.bearer(edge)
    for response in (await edge.get("/api/auth/verify", headers=headers), await auth.get("/verify", headers=headers)):
        assert response.status_code == 200
        body = response.json()
        assert isinstance(body["data"].pop("exp"), int)
        assert body == {"status": "success", "data": {"user_id": account.id, "username": account.username}}


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic YTpi", "nonsense"])
async def test_verify_without_a_token_is_400(edge: httpx.AsyncClient, header: str | None) -> None:
    response = await edge.get("/api/auth/verify", headers={} if header is None else {"authorization": header})
    assert response.status_code == 400
    assert response.json()["status"] == "failed"


def _forged(platform: Platform, **changes: object) -> str:
    tokens = platform.auth_app.state.tokens
    good = tokens.issue(1, "a", "")
    claims = jwt.decode(good, options={"verify_signature": False})
    keys = tokens._keys
    signed: str = keys.sign(claims | changes)
    return signed


async def test_verify_tells_an_expired_token(edge: httpx.AsyncClient, platform: Platform) -> None:
    token = _forged(platform, exp=1_600_000_000, iat=1_500_000_000)
    response = await edge.get("/api/auth/verify", headers={"authorization": f"Bearer {token}"})
    assert (response.status_code, response.json()) == (401, {"status": "failed", "message": "Token has expired"})


@pytest.mark.parametrize(
    "changes", [{"aud": "somebody"}, {"iss": "somebody"}, {"sub": "x"}, {"exp": "soon"}, {"exp": None}]
)
async def test_verify_refuses_other_claims(
    edge: httpx.AsyncClient, platform: Platform, changes: dict[str, object]
) -> None:
    token = _forged(platform, **changes)
    response = await edge.get("/api/auth/verify", headers={"authorization": f"Bearer {token}"})
    assert (response.status_code, response.json()) == (401, {"status": "failed", "message": "Invalid token"})


async def test_verify_refuses_other_algorithms(edge: httpx.AsyncClient, platform: Platform) -> None:
    kid = next(iter(platform.auth_app.state.tokens._keys.public))
    public = next(iter(platform.auth_app.state.tokens._keys.public.values())).key.public_bytes_raw()
    claims = {"sub": "1", "username": "a", "exp": 2_000_000_000, "iat": 1, "aud": "titanium"}
    tokens = [
        jwt.encode(claims, "", algorithm="none", headers={"kid": kid}),
        jwt.encode(claims, public, algorithm="HS256", headers={"kid": kid}),
        "a.b.c",
        "é.é.é",
        "x" * 9000,
    ]
    for token in tokens:
        headers = {b"authorization": b"Bearer " + token.encode()}
        response = await edge.get("/api/auth/verify", headers=headers)
        assert (response.status_code, response.json()["message"]) == (401, "Invalid token")
