"""Sending answers: whole, or 304 to a client that has it already."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response

from blog_service.cache import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Receive, Scope, Send

    from blog_service.cache import Header

_ETAG = re.compile(r'(?:W/)?("[^"]*")')

#: Kept by browsers and proxies, but asked about each time: never stale, and mostly 304.
REVALIDATE = (b"cache-control", b"no-cache")
JSON = (b"content-type", b"application/json")


def json_answer(content: Any, *, etag: str = "", headers: Iterable[Header] = ()) -> Answer:
    """An answer of JSON."""
    return Answer(orjson.dumps(content), [JSON, REVALIDATE, *headers], etag.encode())


def entity_tags(header: str) -> frozenset[str]:
    """The tags in an If-Match or If-None-Match header, without marks of weakness; `*` stands for any."""
    if header.strip() == "*":
        return frozenset("*")
    return frozenset(_ETAG.findall(header))


async def send_answer(answer: Answer, scope: Scope, send: Send) -> None:
    """Send `answer` to a GET or HEAD, honouring If-None-Match."""
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            if answer.etag in value or value.strip() == b"*":  # quotes included, so no part of another tag matches
                await send({"type": "http.response.start", "status": 304, "headers": answer.not_modified})
                await send({"type": "http.response.body", "body": b""})
                return
            break
    await send({"type": "http.response.start", "status": 200, "headers": answer.full})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})


class AnswerResponse(Response):
    """An `Answer` as FastAPI wants it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- ASGI
        """Send it."""
        await send_answer(self._answer, scope, send)
