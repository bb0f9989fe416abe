"""The one middleware: identifiers, time limit, metrics, access log and the last net below errors. Plain ASGI, thin."""

from __future__ import annotations

import asyncio
import logging
from time import perf_counter
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from titanium_common.context import new_context, reset_current, set_current
from titanium_common.errors import ContentTooLarge, RequestTimeout, ServiceError, error_response
from titanium_common.proxies import client_address

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from titanium_common.logs import AccessLog
    from titanium_common.metrics import Metrics
    from titanium_common.telemetry import Tracing

log = logging.getLogger(__name__)

CONTEXT = "titanium"
"""Key of the `RequestContext` in the ASGI scope."""
OPERATIONS = frozenset({"/health", "/ready", "/metrics", "/stats"})
CLIENT_GONE = 499


def route_template(scope: Scope) -> str:
    """Return the template of the route that was taken, such as `/posts/{id}`, or `unmatched`."""
    route = scope.get("titanium.route")
    if route is None:
        route = getattr(scope.get("route"), "path_format", None)
    return route or "unmatched"


class _BodyTooLarge(HTTPException):
    """An HTTPException, because FastAPI takes other errors while it reads a body for bad JSON."""

    def __init__(self) -> None:
        super().__init__(413)


class RequestMiddleware:
    """Wraps every request of a service."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        access_log: AccessLog,
        time_limit: float,
        max_body_size: int,
        trusted_proxies: int,
        tracing: Tracing | None,
    ) -> None:
        """Wrap `app`; `time_limit` is in seconds, `max_body_size` in bytes, `tracing` is None where none is wanted."""
        self.app = app
        self.metrics = metrics
        self.access_log = access_log
        self.time_limit = time_limit
        self.max_body_size = max_body_size
        self.trusted_proxies = trusted_proxies
        self.tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        request_id = traceparent = tracestate = accept = content_length = b""
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                request_id = value
            elif name == b"traceparent":
                traceparent = value
            elif name == b"tracestate":
                tracestate = value
            elif name == b"accept":
                accept = value
            elif name == b"content-length":
                content_length = value
            elif name == b"transfer-encoding":
                receive = self._counting(receive)
        context = new_context(request_id, traceparent, tracestate)
        scope[CONTEXT] = context
        span = self.tracing.start(scope, context) if self.tracing else None
        token = set_current(context)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", context.request_id.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    *context.headers,
                ]
            await send(message)

        self.metrics.in_flight.inc()
        error: BaseException | None = None
        try:
            if content_length.isdigit() and int(content_length) > self.max_body_size:
                raise ContentTooLarge
            async with asyncio.timeout(self.time_limit) as limit:
                await self.app(scope, receive, send_with_headers)
        except TimeoutError as exception:
            error = exception
            if not limit.expired():
                log.exception("unexpected timeout")
            if status == 0:
                failure: ServiceError = RequestTimeout() if limit.expired() else ServiceError()
                await error_response(failure, accept.decode("latin-1"))(scope, receive, send_with_headers)
            else:
                raise  # Half an answer must not look like a whole one.
        except Exception as exception:
            error = exception
            if status != 0:
                raise
            if isinstance(exception, _BodyTooLarge):
                failure = ContentTooLarge()
            elif isinstance(exception, ServiceError):
                failure = exception
            else:
                log.exception("unexpected error")
                failure = ServiceError()
            await error_response(failure, accept.decode("latin-1"))(scope, receive, send_with_headers)
        finally:
            seconds = perf_counter() - started
            self.metrics.in_flight.dec()
            route = route_template(scope)
            # Without an answer the client had left: the number that nginx made a custom.
            self.metrics.request(scope["method"], route, status or CLIENT_GONE, seconds)
            if status >= 500 or scope["path"] not in OPERATIONS:
                self._write_access(scope, status or CLIENT_GONE, route, seconds)
            if span is not None and self.tracing is not None:
                self.tracing.finish(span, scope["method"], route, status or CLIENT_GONE, error)
            reset_current(token)

    def _counting(self, receive: Receive) -> Receive:
        """Watch the size of a body that did not tell it beforehand."""
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.max_body_size:
                raise _BodyTooLarge
            return message

        return counted

    def _write_access(self, scope: Scope, status: int, route: str, seconds: float) -> None:
        context = scope[CONTEXT]
        path = scope["path"]
        self.access_log.write(
            {
                "method": scope["method"],
                "route": route,
                # The query is left out, as is anything that may be an e-mail address.
                "path": path[:200] if "@" not in path else "[redacted]",
                "status": status,
                "duration_ms": round(seconds * 1000, 2),
                "client": client_address(scope, self.trusted_proxies),
                "request_id": context.request_id,
                "trace_id": context.trace_id,
                "span_id": context.span_id,
                **context.log,
            }
        )
