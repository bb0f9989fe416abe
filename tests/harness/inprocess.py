"""Services inside the test's own process: real HTTP over real sockets, and coverage sees them."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn

from titanium_common.server import listen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the test runner."""
        yield


@asynccontextmanager
async def running(app: ASGIApp, *ports: int) -> AsyncIterator[None]:
    """Serve `app` on ports of 127.0.0.1 while the block runs.

    Raises:
        RuntimeError: it did not start.
    """
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listen("127.0.0.1", port) for port in ports]))
    try:
        while not server.started:
            if task.done():
                await task
                raise RuntimeError("the application did not start")
            await asyncio.sleep(0.005)
        yield
    finally:
        server.should_exit = True
        await task
