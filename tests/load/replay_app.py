"""What a running platform answered, kept in Redis and given out again: the least that k6's readers could be served by.

One Redis GET a request, by path and query; nothing is checked, logged or counted.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import redis.asyncio as aioredis

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_client = aioredis.Redis(
    host=os.environ["REDIS_HOST"], port=int(os.environ["REDIS_PORT"]), password=os.environ["REDIS_PASSWORD"]
)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    query = scope["query_string"].decode()
    body = await _client.get(f"{scope['path']}?{query}" if query else scope["path"])
    kind = b"application/json" if "/api/" in scope["path"] else b"text/html; charset=utf-8"
    headers = [(b"content-type", kind), (b"content-length", str(len(body or b"")).encode())]
    await send({"type": "http.response.start", "status": 200 if body else 404, "headers": headers})
    await send({"type": "http.response.body", "body": body or b""})
