"""Calls to other services: one pooled client, deadlines, and the request's identifiers passed on."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from titanium_common.context import propagation_headers
from titanium_common.errors import ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)


class UpstreamUnavailable(ServiceUnavailable):
    """Another service cannot be reached, or failed."""


class ServiceClient:
    """Speaks JSON with one other service."""

    def __init__(self, name: str, base_url: str, *, timeout: float = 5.0, connections: int = 100) -> None:
        """Prepare a client.

        Args:
            name: the other service's name, for logs.
            base_url: its URL, without a path.
            timeout: seconds a call may take in all.
            connections: how many may be open at once.
        """
        self.name = name
        self._base = base_url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(2.0, timeout))
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            # Idle connections are given up well before the server's 75 s, so that no request meets a closing one.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=30, ttl_dns_cache=10),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        expect: frozenset[int] = frozenset({200}),
    ) -> tuple[int, Any]:
        """Make a call; return status and decoded body.

        A GET is tried twice when the connection fails; other methods only if no connection could be made at all.

        Raises:
            UpstreamUnavailable: the service is away, too slow, or answered with a status that is not in `expect`.
        """
        data = None if json is None else orjson.dumps(json)
        sent = {"content-type": "application/json", **propagation_headers(), **(headers or {})}
        for attempt in (1, 2):
            try:
                async with self._open().request(method, self._base + path, data=data, headers=sent) as response:
                    body = await response.read()
            except aiohttp.ClientConnectorError as error:
                failure: Exception = error
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                failure = error
                if method != "GET" or isinstance(error, TimeoutError):
                    break
            else:
                if response.status in expect:
                    return response.status, orjson.loads(body) if body else None
                log.warning("%s answered %s %s with %d", self.name, method, path, response.status)
                raise UpstreamUnavailable
            if attempt == 1:
                await asyncio.sleep(0.05)
        log.warning("%s is not available: %s", self.name, type(failure).__name__)
        raise UpstreamUnavailable from failure

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
