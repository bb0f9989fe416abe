"""The edge: decides for each request whether it is passed on, answered here, or none of the outside's business."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from api_gateway.errors import MethodNotAllowed, UpstreamAway
from api_gateway.routes import METHODS, Upstream, resolve
from titanium_common.errors import JsonResponse, NotFound

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from api_gateway.proxy import Proxy

HEALTH_AGE = 1.0
"""Seconds for which an answer about the platform's health is given again."""


class Edge:
    """ASGI middleware before the gateway's own routes."""

    def __init__(self, app: ASGIApp, *, proxy: Proxy, edge_port: int) -> None:
        """Wrap `app`, which only those reach who come by another port than `edge_port`."""
        self.app = app
        self._proxy = proxy
        self._edge_port = edge_port
        self._health: asyncio.Task[dict[str, bool]] | None = None
        self._health_until = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        target = resolve(path, scope["raw_path"])
        if target is not None:
            scope["titanium.route"] = target.template
            if scope["method"] not in METHODS:
                raise MethodNotAllowed
            await self._proxy.forward(target, scope, receive, send)
        elif path == "/blog":
            scope["titanium.route"] = "/blog"
            query = scope["query_string"].decode("latin-1")
            location = "/blog/" + ("?" + query if query else "")
            await JsonResponse({}, status_code=308, headers={"Location": location})(scope, receive, send)
        elif scope["server"][1] != self._edge_port:
            await self.app(scope, receive, send)
        elif path == "/health":
            scope["titanium.route"] = "/health"
            await self._answer_health(scope, receive, send)
        else:
            raise NotFound

    async def _answer_health(self, scope: Scope, receive: Receive, send: Send) -> None:
        services = await self._platform_health()
        healthy = all(services.values())
        body = {"status": "ok" if healthy else "unavailable"}
        headers = {} if healthy else {"Retry-After": "1"}
        await JsonResponse(body, status_code=200 if healthy else 503, headers=headers)(scope, receive, send)

    async def _platform_health(self) -> dict[str, bool]:
        if self._health is None or (self._health.done() and time.monotonic() >= self._health_until):
            self._health = asyncio.create_task(self._ask_services())
            self._health_until = time.monotonic() + HEALTH_AGE
        return await asyncio.shield(self._health)

    async def _ask_services(self) -> dict[str, bool]:
        async def ask(upstream: Upstream) -> bool:
            try:
                await self._proxy.alive(upstream)
            except UpstreamAway:
                return False
            return True

        return dict(zip((u.value for u in Upstream), await asyncio.gather(*map(ask, Upstream)), strict=True))
