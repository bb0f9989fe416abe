"""What the blog is measured against: the least an ASGI application can do that keeps its answers in Redis or PostgreSQL.

`/redis` does one GET and returns the bytes; `/postgresql` runs the list's query and encodes it with orjson; `/argon2`
verifies a password as user-service does.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import asyncpg
import orjson
import redis.asyncio as aioredis
from argon2 import PasswordHasher

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
_hasher = PasswordHasher(
    time_cost=int(os.environ["ARGON2_TIME"]), memory_cost=int(os.environ["ARGON2_MEMORY"]), parallelism=1
)
_hashed = _hasher.hash("a password")
_threads = ThreadPoolExecutor(int(os.environ["ARGON2_THREADS"]))


async def _open() -> None:
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


async def _list() -> bytes:
    rows = await _pools[0].fetch(QUERY)
    return orjson.dumps([dict(row) for row in rows])


async def _verify() -> bytes:
    await asyncio.get_running_loop().run_in_executor(_threads, _hasher.verify, _hashed, "a password")
    return b"{}"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer."""
    if scope["type"] == "lifespan":
        await receive()
        await _open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/redis":
        body = await _client.get(KEY) or b""
    elif scope["path"] == "/postgresql":
        body = await _list()
    else:
        body = await _verify()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
