"""blog-service as tests know it: replicas on one database and one Redis, and users with tokens."""

from __future__ import annotations

import itertools
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from blog_service.main import create_app
from blog_service.settings import BlogSettings
from tests.harness.inprocess import running
from tests.harness.processes import free_port
from tests.integration.services.platform import Memory
from titanium_common.tokens import ALGORITHM, AUDIENCE, ISSUER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI
    from starlette.requests import Request

    from tests.harness.postgres import Postgres

_numbers = itertools.count(1)


@dataclass
class User:
    """Somebody with an access token."""

    id: int
    username: str
    headers: dict[str, str]


class Issuer:
    """Stands for auth-service: signs tokens, and publishes the key."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        public = json.loads(OKPAlgorithm.to_jwk(self._key.public_key()))
        self._jwks = {"keys": [public | {"kid": "test", "use": "sig", "alg": ALGORITHM}]}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.app = Starlette(routes=[Route("/.well-known/jwks.json", self._publish)])

    async def _publish(self, _: Request) -> JSONResponse:
        return JSONResponse(self._jwks)

    def token(self, user_id: int, username: str, *, seconds: int = 900, key: Any = None) -> str:
        """An access token that ends in `seconds`."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user_id),
            "username": username,
            "iat": now,
            "exp": now + seconds,
        }
        return jwt.encode(claims, key or self._key, algorithm=ALGORITHM, headers={"kid": "test"})

    def user(self, name: str = "") -> User:
        """Somebody nobody has seen yet."""
        number = next(_numbers)
        username = name or f"user{number}"
        return User(number, username, {"authorization": f"Bearer {self.token(number, username)}"})


@dataclass
class Replica:
    """One running blog-service."""

    app: FastAPI
    url: str
    client: httpx.AsyncClient
    log: Memory = field(repr=False)


class Blog:
    """Starts replicas of blog-service on one database."""

    def __init__(self, postgres: Postgres, database: str, issuer: Issuer) -> None:
        self.postgres = postgres
        self.database = database
        self.issuer = issuer

    def settings(self, redis: tuple[str, int, str] | None, **more: object) -> BlogSettings:
        """Settings of a replica; without limits unless told otherwise. `redis` is host, port and password."""
        given: dict[str, Any] = {
            "host": "127.0.0.1",
            "auth_service_url": self.issuer.url,
            "database_host": self.postgres.host,
            "database_port": self.postgres.port,
            "database_name": self.database,
            "database_password": SecretStr(self.postgres.password("blog_service")),
            "database_timeout": 5.0,
            "rate_limit_write": "",
            "rate_limit_preview": "",
        }
        if redis is not None:
            given |= {"redis_host": redis[0], "redis_port": redis[1], "redis_password": SecretStr(redis[2])}
        return BlogSettings(**(given | more))

    @asynccontextmanager
    async def replica(self, redis: tuple[str, int, str] | None, **more: object) -> AsyncIterator[Replica]:
        """A replica while the block runs."""
        port = free_port()
        log = Memory("blog-service")
        app = create_app(self.settings(redis, **more), log)
        async with (
            running(app, port),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
        ):
            yield Replica(app, f"http://127.0.0.1:{port}", client, log)


async def write(client: httpx.AsyncClient, user: User, **fields: object) -> dict[str, Any]:
    """Write a post and return it."""
    body = {"title": "A title", "content": "Some text.", "category_id": 3} | fields
    if "category_name" in fields:
        del body["category_id"]
    response = await client.post("/blog/api/posts", json=body, headers=user.headers)
    assert response.status_code == 201, response.text
    post: dict[str, Any] = response.json()
    return post


def links(response: httpx.Response) -> dict[str, str]:
    """The targets of a Link header by relation."""
    return {str(name): link["url"] for name, link in response.links.items()}
