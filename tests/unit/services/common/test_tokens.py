"""Verifying access tokens away from auth-service."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import httpx
import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from auth_service.keys import SigningKeys
from auth_service.sessions.tokens import AccessTokens
from tests.harness.inprocess import running
from tests.harness.processes import free_port
from tests.harness.services import write_signing_key
from titanium_common import tokens
from titanium_common.app import create_app
from titanium_common.settings import Settings
from titanium_common.tokens import (
    CurrentUser,
    KeysUnavailable,
    OptionalUser,
    SecureRoute,
    TokenExpired,
    TokenInvalid,
    TokenVerifier,
    parse_jwks,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.requests import Request


class Publisher:
    """Stands for auth-service: publishes keys, and can be away."""

    def __init__(self, folder: Path) -> None:
        write_signing_key(folder)
        self.issuer = AccessTokens(SigningKeys(folder), 900)
        self.body: bytes | None = None
        self.status = 200
        self.asked = 0
        self.port = free_port()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    async def keys(self, _: Request) -> Response:
        """The JWKS."""
        self.asked += 1
        return Response(self.body if self.body is not None else self.issuer.jwks, status_code=self.status)

    def app(self) -> Starlette:
        """The application."""
        return Starlette(routes=[Route("/.well-known/jwks.json", self.keys)])


@pytest.fixture
async def publisher(tmp_path: Path) -> AsyncIterator[Publisher]:
    """A running publisher."""
    result = Publisher(tmp_path)
    async with running(result.app(), result.port):
        yield result


@pytest.fixture
async def verifier(publisher: Publisher) -> AsyncIterator[TokenVerifier]:
    """A verifier that has read no key yet."""
    result = TokenVerifier(publisher.url)
    yield result
    await result.close()


async def test_keys_are_read_when_they_are_needed_and_then_kept(publisher: Publisher, verifier: TokenVerifier) -> None:
    token = publisher.issuer.issue(7, "a", "s")
    for _ in range(3):
        user = await verifier.verify(token)
        assert (user.id, user.username, user.session) == (7, "a", "s")
    await verifier.verify(publisher.issuer.issue(8, "b", ""))
    assert publisher.asked == 1


async def test_it_goes_on_while_auth_service_is_away(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path)
    verifier = TokenVerifier(publisher.url)
    async with running(publisher.app(), publisher.port):
        await verifier.verify(publisher.issuer.issue(7, "a", ""))
    assert (await verifier.verify(publisher.issuer.issue(8, "b", ""))).id == 8
    await verifier.close()


async def test_without_any_key_it_says_come_back(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path)
    verifier = TokenVerifier(publisher.url)
    with pytest.raises(KeysUnavailable):
        await verifier.verify(publisher.issuer.issue(7, "a", ""))
    async with running(publisher.app(), publisher.port):
        assert (await verifier.verify(publisher.issuer.issue(7, "a", ""))).id == 7
    await verifier.close()


async def test_a_new_key_is_fetched(
    publisher: Publisher,
    verifier: TokenVerifier,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tokens, "REFETCH_PAUSE", 0.0)
    old = publisher.issuer.issue(7, "a", "")
    await verifier.verify(old)
    folder = tmp_path_factory.mktemp("other")
    write_signing_key(folder)
    publisher.issuer = AccessTokens(SigningKeys(folder), 900)
    assert (await verifier.verify(publisher.issuer.issue(8, "b", ""))).id == 8
    with pytest.raises(TokenInvalid):
        await verifier.verify(old)


async def test_made_up_keys_do_not_make_it_ask_each_time(publisher: Publisher, verifier: TokenVerifier) -> None:
    await verifier.verify(publisher.issuer.issue(7, "a", ""))
    key = Ed25519PrivateKey.generate()
    made_up = [jwt.encode({"sub": "1"}, key, algorithm="EdDSA", headers={"kid": f"k{n}"}) for n in range(20)]
    results = await asyncio.gather(*(verifier.verify(token) for token in made_up), return_exceptions=True)
    assert all(isinstance(result, TokenInvalid) for result in results)
    assert publisher.asked <= 2


async def test_an_expired_token_is_told_even_when_remembered(
    publisher: Publisher, verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.issuer.lifetime = 60
    token = publisher.issuer.issue(7, "a", "")
    await verifier.verify(token)
    now = time.time()
    monkeypatch.setattr("titanium_common.tokens.time.time", lambda: now + 120)
    with pytest.raises(TokenExpired):
        await verifier.verify(token)


async def test_what_is_remembered_is_bounded(
    publisher: Publisher, verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_REMEMBERED", 3)
    for number in range(10):
        await verifier.verify(publisher.issuer.issue(number, "a", ""))
    assert len(verifier._known) == 3


NO_KEYS = [
    b"",
    b"nonsense",
    b"{}",
    b"[]",
    b'{"keys":[]}',
    b'{"keys":[{"kty":"RSA"}]}',
    b'{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"!"}]}',
]


@pytest.mark.parametrize("body", NO_KEYS)
async def test_a_document_that_is_none_changes_nothing(
    publisher: Publisher, verifier: TokenVerifier, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "REFETCH_PAUSE", 0.0)
    await verifier.verify(publisher.issuer.issue(7, "a", ""))
    publisher.body = body
    key = Ed25519PrivateKey.generate()
    with pytest.raises(TokenInvalid):
        await verifier.verify(jwt.encode({}, key, algorithm="EdDSA", headers={"kid": "k"}))
    assert (await verifier.verify(publisher.issuer.issue(8, "b", ""))).id == 8


async def test_keys_are_read_ahead_and_again(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "KEYS_TTL", 0.05)
    publisher.status = 500
    verifier = TokenVerifier(publisher.url)
    await verifier.open()
    async with asyncio.timeout(5):
        while publisher.asked < 1:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)
    assert publisher.asked == 1
    publisher.status = 200
    async with asyncio.timeout(5):
        while publisher.asked < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert verifier._keys
    await verifier.close()


def test_other_kinds_of_keys_are_left_out() -> None:
    assert parse_jwks(orjson.loads(b'{"keys":[{"kty":"oct","kid":"a","k":"x"}]}')) == {}


class Body(BaseModel):
    """A body that must have a number."""

    number: int


def application(url: str) -> object:
    """A service with a route that needs a user, one that may have one, and one that does not care."""
    router = APIRouter(route_class=SecureRoute)

    @router.post("/needs/{number}")
    async def needs(number: int, body: Body, user: CurrentUser) -> dict[str, int]:
        return {"id": user.id, "sum": number + body.number}

    @router.post("/may")
    async def may(body: Body, user: OptionalUser) -> dict[str, int | None]:
        return {"id": user.id if user else None, "number": body.number}

    return create_app(Settings(auth_service_url=url), title="test", routers=[router], tokens=True)


@pytest.fixture
async def client(publisher: Publisher) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that service."""
    port = free_port()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(application(publisher.url), port))  # type: ignore[arg-type]
        yield await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}"))


@pytest.mark.parametrize(
    ("path", "content"), [("/needs/1", b"{"), ("/needs/x", b"{}"), ("/needs/1", b"x" * 2_000_000), ("/needs/1", b"")]
)
async def test_401_comes_before_everything(client: httpx.AsyncClient, path: str, content: bytes) -> None:
    if len(content) > 1_000_000:
        assert (await client.post(path, content=content)).status_code == 413
        return
    response = await client.post(path, content=content, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()) == (401, {"detail": "Not authenticated"})


async def test_a_user_gets_in(client: httpx.AsyncClient, publisher: Publisher) -> None:
    headers = {"authorization": f"bearer {publisher.issuer.issue(7, 'a', '')}"}
    assert (await client.post("/needs/1", json={"number": 2}, headers=headers)).json() == {"id": 7, "sum": 3}
    assert (await client.post("/needs/1", json={}, headers=headers)).status_code == 422
    assert (await client.post("/may", json={"number": 2}, headers=headers)).json() == {"id": 7, "number": 2}
    assert (await client.post("/may", json={"number": 2})).json() == {"id": None, "number": 2}
    wrong = {"authorization": "Bearer wrong"}
    assert (await client.post("/may", json={"number": 2}, headers=wrong)).status_code == 401


async def test_openapi_knows_the_scheme(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["paths"]["/needs/{number}"]["post"]["security"] == [{"HTTPBearer": []}]
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
