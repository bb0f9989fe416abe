"""The services in one process, and an account as tests know it."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from api_gateway.main import create_app as create_gateway
from api_gateway.settings import GatewaySettings
from auth_service.main import create_app as create_auth
from auth_service.settings import AuthSettings
from tests.harness.inprocess import running
from tests.harness.processes import free_port
from tests.harness.services import write_signing_key
from titanium_common.logs import AccessLog
from user_service.main import create_app as create_user
from user_service.settings import UserSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AsyncExitStack
    from pathlib import Path

    import httpx
    from fastapi import FastAPI
    from starlette.requests import Request

    from tests.harness.postgres import Postgres
    from tests.harness.redis import Redis


@dataclass
class Account:
    """Somebody with a name, an address and a password."""

    username: str
    email: str
    password: str
    id: int = 0

    @property
    def registration(self) -> dict[str, str]:
        """The body of a registration."""
        return {"username": self.username, "email": self.email, "password": self.password}

    @property
    def credentials(self) -> dict[str, str]:
        """The body of a login."""
        return {"username": self.username, "password": self.password}

    async def login(self, client: httpx.AsyncClient) -> dict[str, Any]:
        """Log in at the edge and return the body; the cookie is in the client's jar."""
        response = await client.post("/api/login", json=self.credentials)
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    async def bearer(self, client: httpx.AsyncClient) -> dict[str, str]:
        """Log in at the edge and return the `Authorization` header."""
        return {"authorization": f"Bearer {(await self.login(client))['token']}"}


class Memory(AccessLog):
    """An access log that can be read."""

    def __init__(self, service: str) -> None:
        self.stream = io.BytesIO()
        super().__init__(service, self.stream)

    def text(self) -> str:
        """What was written so far."""
        self.flush()
        return self.stream.getvalue().decode()


@dataclass
class Parts:
    """What services of one kind are told here."""

    postgres: Postgres
    redis: Redis | None
    database: str
    folder: Path
    user_port: int = field(default_factory=free_port)
    auth_port: int = field(default_factory=free_port)
    blog_port: int = field(default_factory=free_port)
    gateway_port: int = field(default_factory=free_port)
    edge_port: int = field(default_factory=free_port)

    def common(self, role: str = "", **more: object) -> dict[str, Any]:
        """Settings of a service that logs in as `role`."""
        settings: dict[str, Any] = {
            "host": "127.0.0.1",
            "user_service_url": f"http://127.0.0.1:{self.user_port}",
            "auth_service_url": f"http://127.0.0.1:{self.auth_port}",
            "blog_service_url": f"http://127.0.0.1:{self.blog_port}",
            "database_timeout": 2.0,
        }
        if role:
            settings |= {
                "database_host": self.postgres.host,
                "database_port": self.postgres.port,
                "database_name": self.database,
                "database_user": role,
                "database_password": SecretStr(self.postgres.password(role)),
            }
        if self.redis is not None:
            settings |= {
                "redis_host": self.redis.host,
                "redis_port": self.redis.port,
                "redis_password": SecretStr(self.redis.password),
            }
        return settings | more

    def user_settings(self, **more: object) -> UserSettings:
        """Settings of user-service; cheap hashes and no limits unless told otherwise."""
        defaults = {"argon2_memory": 8192, "argon2_time": 1, "rate_limit_register": "", "port": self.user_port}
        return UserSettings(**self.common("user_service", **(defaults | more)))

    def auth_settings(self, **more: object) -> AuthSettings:
        """Settings of auth-service; no limits unless told otherwise."""
        write_signing_key(self.folder / "jwt")
        defaults: dict[str, object] = {
            "jwt_key_dir": self.folder / "jwt",
            "rate_limit_login": "",
            "rate_limit_account": "",
            "port": self.auth_port,
        }
        return AuthSettings(**self.common("auth_service", **(defaults | more)))

    def gateway_settings(self, **more: object) -> GatewaySettings:
        """Settings of api-gateway."""
        defaults: dict[str, object] = {"port": self.gateway_port, "edge_port": self.edge_port}
        return GatewaySettings(**self.common("", **(defaults | more)))


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 5.0) -> None:
    """Return once `condition` holds; fail if it does not within `seconds`."""
    for _ in range(int(seconds / 0.02)):
        if await condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {condition.__name__}")


def blog_stub() -> Starlette:
    """Stands for blog-service behind the gateway: tells what arrived, and answers in ways a gateway must cope with."""

    async def echo(request: Request) -> Response:
        body = await request.body()
        return JSONResponse(
            {
                "method": request.method,
                "path": request.scope["raw_path"].decode(),
                "query": request.url.query,
                "headers": request.headers.items(),
                "body": body.decode("latin-1"),
            },
            headers={"X-Stub": "1", "Connection": "X-Hop", "X-Hop": "1", "Keep-Alive": "timeout=5"},
        )

    async def stream(request: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            for number in range(int(request.query_params["chunks"])):
                yield bytes([number % 256]) * 65536

        return StreamingResponse(chunks(), media_type="application/octet-stream")

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Starlette(
        routes=[
            Route("/health", health),
            Route("/blog/api/stream", stream),
            Route("/{path:path}", echo, methods=methods),
        ]
    )


@dataclass
class Platform:
    """The running services."""

    parts: Parts
    user_app: FastAPI
    auth_app: FastAPI
    gateway_app: FastAPI
    logs: dict[str, Memory]

    @property
    def edge(self) -> str:
        """URL for the outside."""
        return f"http://127.0.0.1:{self.parts.edge_port}"

    @property
    def gateway(self) -> str:
        """URL of the gateway for inside."""
        return f"http://127.0.0.1:{self.parts.gateway_port}"

    @property
    def user(self) -> str:
        """URL of user-service."""
        return f"http://127.0.0.1:{self.parts.user_port}"

    @property
    def auth(self) -> str:
        """URL of auth-service."""
        return f"http://127.0.0.1:{self.parts.auth_port}"


async def start_platform(
    stack: AsyncExitStack, postgres: Postgres, redis: Redis | None, database: str, folder: Path, **more: object
) -> Platform:
    """Start the services until `stack` is closed; `more` are settings that all of them get."""
    parts = Parts(postgres, redis, database, folder)
    logs = {name: Memory(name) for name in ("user-service", "auth-service", "api-gateway")}
    user_app = create_user(parts.user_settings(**more), logs["user-service"])
    auth_app = create_auth(parts.auth_settings(**more), logs["auth-service"])
    gateway_app = create_gateway(parts.gateway_settings(**more), logs["api-gateway"])
    await stack.enter_async_context(running(blog_stub(), parts.blog_port))
    await stack.enter_async_context(running(auth_app, parts.auth_port))
    await stack.enter_async_context(running(user_app, parts.user_port))
    await stack.enter_async_context(running(gateway_app, parts.gateway_port, parts.edge_port))
    return Platform(parts, user_app, auth_app, gateway_app, logs)
