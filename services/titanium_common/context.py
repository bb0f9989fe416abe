"""What is known about the request being served, for logs, answers and calls to other services."""

from __future__ import annotations

import random
import re
from contextvars import ContextVar
from dataclasses import dataclass, field

# Identifiers need no secrecy, only to differ: no system call per request.
_random = random.Random()  # noqa: S311
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(slots=True)
class RequestContext:
    """One request's identity (W3C trace context) and what is to be added to its answer."""

    request_id: str
    trace_id: str
    span_id: str
    flags: str = "01"
    tracestate: str = ""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Headers that the answer gets, whatever it is; names in lower case."""
    log: dict[str, object] = field(default_factory=dict)
    """Fields that the access log gets. Never an e-mail address, a password or a token."""

    @property
    def traceparent(self) -> str:
        """The header that makes another service's work part of this trace."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


_current: ContextVar[RequestContext | None] = ContextVar("titanium_request", default=None)
set_current = _current.set
reset_current = _current.reset


def current() -> RequestContext | None:
    """The request being served in this task, or None outside of one."""
    return _current.get()


def new_context(request_id: bytes, traceparent: bytes, tracestate: bytes) -> RequestContext:
    """Continue the caller's identifiers where they are well-formed; make new ones otherwise."""
    trace_id, flags, state = "", "01", ""
    if traceparent and (match := _TRACEPARENT.fullmatch(traceparent)):
        trace_id, flags = match[1].decode(), match[3].decode()
        state = tracestate[:512].decode("latin-1")
    return RequestContext(
        request_id=request_id.decode() if _REQUEST_ID.fullmatch(request_id) else f"{_random.getrandbits(128):032x}",
        trace_id=trace_id or f"{_random.getrandbits(128) or 1:032x}",
        span_id=f"{_random.getrandbits(64) or 1:016x}",
        flags=flags,
        tracestate=state,
    )


def propagation_headers() -> dict[str, str]:
    """Headers for a call to another service: `X-Request-ID`, `traceparent`, `tracestate`; empty outside a request."""
    context = _current.get()
    if context is None:
        return {}
    headers = {"x-request-id": context.request_id, "traceparent": context.traceparent}
    if context.tracestate:
        headers["tracestate"] = context.tracestate
    return headers
