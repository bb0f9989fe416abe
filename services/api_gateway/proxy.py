"""Passes one request on and its answer back."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from api_gateway.errors import BadGateway, GatewayTimeout, UpstreamAway
from api_gateway.routes import Upstream
from titanium_common.proxies import client_address, request_host, request_scheme

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from api_gateway.routes import Target
    from api_gateway.settings import GatewaySettings

log = logging.getLogger(__name__)

# RFC 9110, 7.6.1: about the connection, not the message.
_HOP_BY_HOP = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    }
)
# What the gateway says itself, whatever the client says.
_REPLACED = _HOP_BY_HOP | {
    *(b"host", b"content-length", b"expect", b"x-request-id", b"traceparent", b"tracestate"),
    *(b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-real-ip"),
}
_ANSWERED_HERE = _HOP_BY_HOP | {b"date", b"server", b"x-request-id", b"x-content-type-options"}
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})
RETRY_PAUSE = 0.05
"""Seconds before the second try."""


def _connection_names(value: bytes) -> frozenset[bytes]:
    return frozenset(name.strip().lower() for name in value.split(b","))


class Proxy:
    """Speaks with the services over one pool of connections."""

    def __init__(self, settings: GatewaySettings) -> None:
        """Prepare from `settings`; connections are made when they are needed."""
        self._settings = settings
        self._bases = {
            Upstream.AUTH: settings.auth_service_url.rstrip("/"),
            Upstream.USER: settings.user_service_url.rstrip("/"),
            Upstream.BLOG: settings.blog_service_url.rstrip("/"),
        }
        self._timeout = aiohttp.ClientTimeout(total=settings.upstream_timeout, connect=2.0)
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Make the pool."""
        self._session = aiohttp.ClientSession(
            # Idle connections are given up well before the services' 75 s, so that no request meets a closing one.
            connector=aiohttp.TCPConnector(
                limit=0, limit_per_host=self._settings.upstream_connections, keepalive_timeout=30, ttl_dns_cache=10
            ),
            timeout=self._timeout,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        """The pool; after `open`."""
        assert self._session is not None
        return self._session

    async def alive(self, upstream: Upstream) -> None:
        """Raise `UpstreamAway` unless the service answers."""
        try:
            async with self.session.get(
                self._bases[upstream] + "/health", timeout=aiohttp.ClientTimeout(total=1.0)
            ) as response:
                if response.status == 200:
                    return
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass
        raise UpstreamAway

    def _headers(self, scope: Scope) -> CIMultiDict[str]:
        dropped = _REPLACED
        for name, value in scope["headers"]:
            if name == b"connection":
                dropped |= _connection_names(value)
        headers: CIMultiDict[str] = CIMultiDict()
        for name, value in scope["headers"]:
            if name not in dropped:
                headers.add(name.decode("latin-1"), value.decode("latin-1"))
        proxies = self._settings.trusted_proxies
        context = scope["titanium"]
        headers["x-forwarded-for"] = client_address(scope, proxies)
        headers["x-forwarded-proto"] = request_scheme(scope, proxies)
        headers["x-forwarded-host"] = request_host(scope, proxies)
        headers["x-request-id"] = context.request_id
        headers["traceparent"] = context.traceparent
        if context.tracestate:
            headers["tracestate"] = context.tracestate
        return headers

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        if not any(name in {b"content-length", b"transfer-encoding"} for name, _ in scope["headers"]):
            return None
        # How large it may be is watched by the common middleware.
        chunks: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionAbortedError
            chunks.append(message.get("body", b""))
            if not message.get("more_body", False):
                return b"".join(chunks)

    async def forward(self, target: Target, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on to `target`.

        Raises:
            UpstreamAway, BadGateway, GatewayTimeout: 503, 502, 504.
        """
        try:
            body = await self._body(scope, receive)
        except ConnectionAbortedError:
            return
        query = scope["query_string"].decode("latin-1")
        url = URL(f"{self._bases[target.upstream]}{target.path}{'?' + query if query else ''}", encoded=True)
        response = await self._request(target.upstream, scope["method"], url, self._headers(scope), body)
        async with response:
            await self._answer(scope["method"], response, send)

    async def _request(
        self, upstream: Upstream, method: str, url: URL, headers: CIMultiDict[str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        for last in (False, True):
            try:
                return await self.session.request(method, url, headers=headers, data=body, allow_redirects=False)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                # Nothing was sent: whatever it is, it can be sent again.
                if last:
                    log.warning("%s is away: %s", upstream.value, type(error).__name__)
                    raise UpstreamAway from error
            except TimeoutError as error:
                log.warning("%s did not answer %s in time", upstream.value, method)
                raise GatewayTimeout from error
            except (aiohttp.ClientError, OSError, ValueError) as error:
                if last or method not in _REPEATABLE:
                    log.warning("%s broke off %s: %s", upstream.value, method, type(error).__name__)
                    raise BadGateway from error
            await asyncio.sleep(RETRY_PAUSE)
        raise AssertionError("unreachable")

    async def _answer(self, method: str, response: aiohttp.ClientResponse, send: Send) -> None:
        dropped = _ANSWERED_HERE
        headers = []
        for name, value in response.raw_headers:
            lower = name.lower()
            if lower == b"connection":
                dropped |= _connection_names(value)
            headers.append((lower, value))
        start = {
            "type": "http.response.start",
            "status": response.status,
            "headers": [header for header in headers if header[0] not in dropped],
        }
        # Most answers are small and come in one piece: they are awaited, so that one that breaks off is a clean 502.
        if method == "HEAD" or (response.content_length is not None and response.content_length <= 65536):
            try:
                body = await response.read()
            except TimeoutError as error:
                raise GatewayTimeout from error
            except (aiohttp.ClientError, OSError) as error:
                raise BadGateway from error
            await send(start)
            await send({"type": "http.response.body", "body": body})
            return
        await send(start)
        async for chunk in response.content.iter_any():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
