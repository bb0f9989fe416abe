"""What the blog is measured against: the least an ASGI application can do that keeps its answers in Redis or PostgreSQL.

`/redis` does one GET and returns the bytes; `/postgresql` runs the list's query and encodes it with orjson.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import asyncpg
import orjson
import redis.asyncio as aioredis

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

KEY = os.environ["BENCH_KEY"]
QUERY = """
SELECT p.id, p.title, p.author, p.created_at, p.excerpt, c.id AS category_id, c.name, c.slug, c.color
FROM blog.posts AS p JOIN blog.categories AS c ON c.id = p.category_id ORDER BY p.id DESC LIMIT 20
"""

_client = aioredis.Redis(
    host=os.environ["REDIS_HOST"], port=int(os.environ["REDIS_PORT"]), password=os.environ["REDIS_PASSWORD"]
)
_pools: list[asyncpg.Pool] = []


async def _list() -> bytes:
    if not _pools:
        _pools.append(
            await asyncpg.create_pool(
                host=os.environ["DATABASE_HOST"],
                port=int(os.environ["DATABASE_PORT"]),
                database=os.environ["DATABASE_NAME"],
                user=os.environ["DATABASE_USER"],
                password=os.environ["DATABASE_PASSWORD"],
                min_size=10,
                max_size=10,
            )
        )
    rows = await _pools[0].fetch(QUERY)
    return orjson.dumps([dict(row) for row in rows])


async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 -- ASGI
    """Answer a GET."""
    if scope["type"] != "http":
        return
    body = (await _client.get(KEY) or b"") if scope["path"] == "/redis" else await _list()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
