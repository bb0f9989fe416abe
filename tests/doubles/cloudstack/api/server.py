"""Serves a cloud on a free port of this machine."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from tests.doubles.cloudstack.api.app import make_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.doubles.cloudstack.api.cloud import Cloud


@contextmanager
def serve(cloud: Cloud) -> Iterator[str]:
    """Serve the cloud while the context lasts. Yields the URL of the API."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(make_app(cloud), log_level="warning", lifespan="off", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}/client/api"
        finally:
            server.should_exit = True
            thread.join(10)
