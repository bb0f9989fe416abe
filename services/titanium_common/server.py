"""Runs a service: uvicorn with the settings that suit one behind proxies, and a gentle end on SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from typing import TYPE_CHECKING, TypeVar

import uvicorn
from pydantic import ValidationError

from titanium_common.logs import configure_logging

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from fastapi import FastAPI

    from titanium_common.settings import Settings

S = TypeVar("S", bound="Settings")

KEEP_ALIVE = 75
"""Seconds an idle connection stays open: longer than proxies keep theirs, so that it is they who close."""


class DrainingServer(uvicorn.Server):
    """On SIGTERM: not ready at once, then a moment for load balancers to see it, then finish and close."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, delay: float) -> None:
        """Serve `app`; `delay` is the moment, in seconds."""
        super().__init__(config)
        self._app = app
        self._delay = delay

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; a second signal, or Ctrl-C, ends at once."""
        if sig == signal.SIGTERM and self._delay and not self._app.state.draining:
            self._app.state.draining = True
            asyncio.get_running_loop().call_later(self._delay, super().handle_exit, sig, frame)
            return
        self._app.state.draining = True
        super().handle_exit(sig, frame)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address.

    Raises:
        SystemExit: the address cannot be had; says why.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    result = socket.socket(family, socket.SOCK_STREAM)
    result.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        result.bind((host, port))
    except OSError as error:
        result.close()
        raise SystemExit(
            f"cannot listen on {host}:{port}: {error.strerror}. Set HOST and PORT to a free address."
        ) from error
    return result


def serve(create: Callable[[S], FastAPI], settings: S, ports: Sequence[int] = ()) -> None:
    """Run a service until it is told to stop.

    Args:
        create: makes the application.
        settings: where it listens, how it logs and how long it takes to stop.
        ports: ports to listen on besides `settings.port`.
    """
    configure_logging(settings.service, settings.log_level)
    app = create(settings)
    sockets = [listen(settings.host, port) for port in (settings.port, *ports)]
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        # The client's address is worked out by the service itself, behind a known number of proxies.
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=settings.shutdown_timeout,
    )
    DrainingServer(config, app, settings.shutdown_delay).run(sockets=sockets)


def load(settings: type[S]) -> S:
    """Read settings from the environment.

    Raises:
        SystemExit: a variable is wrong; names each one and says how, without repeating its value.
    """
    try:
        return settings()
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            print(f"environment variable {'.'.join(map(str, item['loc'])).upper()}: {item['msg']}", file=sys.stderr)
        raise SystemExit(2) from None
