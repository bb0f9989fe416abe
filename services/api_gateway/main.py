"""The application."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from starlette.middleware import Middleware

from api_gateway.edge import Edge
from api_gateway.proxy import Proxy
from api_gateway.routes import Upstream
from titanium_common.app import create_app as create_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

    from api_gateway.settings import GatewaySettings
    from titanium_common.logs import AccessLog


def create_app(settings: GatewaySettings, access_log: AccessLog | None = None) -> FastAPI:
    """Make api-gateway. It is ready without the services: it tells clients better than a closed door would."""
    proxy = Proxy(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        proxy.open()
        yield
        await proxy.close()

    app = create_service(
        settings,
        title="Titanium api-gateway",
        lifespan=lifespan,
        middleware=[Middleware(Edge, proxy=proxy, edge_port=settings.edge_port)],
        access_log=access_log,
    )
    app.state.watched = {upstream.value: partial(proxy.alive, upstream) for upstream in Upstream}
    return app
