"""What is asked for most is answered before FastAPI's routing and validation: pages, their files, and plain reads.

Reads of the API that are not plain (an unusual parameter, a wrong one) go on to FastAPI, whose routes do the same and
explain what is wrong; `tests/integration/services/blog/test_front.py` holds the two to the same answers.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from blog_service.answers import send_answer
from blog_service.page import assets as page_assets
from blog_service.repository import ListQuery
from blog_service.text import squeeze
from titanium_common.errors import ServiceError, error_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from blog_service.cache import Answer
    from blog_service.page.assets import Assets
    from blog_service.page.views import Pages
    from blog_service.reads import Reads

_API: Final = "/blog/api/"
_LIST: Final = "/blog/api/posts"
_CATEGORIES: Final = "/blog/api/categories"
_POST = re.compile(r"/blog/api/posts/([0-9]{1,18})")
_NUMBER = re.compile(r"[0-9]{1,9}")


class Front:
    """ASGI middleware that answers reads."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path.startswith(_API) or path == _API[:-1]:
            await self._api(path, scope, receive, send)
        elif path.startswith("/blog/") or path == "/":
            parts = scope["app"].state
            if path.startswith(page_assets.PATH):
                assets: Assets = parts.assets
                scope["titanium.route"] = page_assets.PATH + "{file}"
                if not await assets.send(scope, send):
                    await self._app(scope, receive, send)
                return
            pages: Pages = parts.pages
            scope["titanium.route"] = "/" if path == "/" else route_name("/blog/{page}", scope)
            await pages.send(scope, send)
        elif path == "/blog":
            scope["titanium.route"] = "/blog"
            query = scope["query_string"]
            location = b"/blog/" + (b"?" + query if query else b"")
            headers = [(b"location", location), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 308, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, send)

    async def _api(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        reads: Reads = scope["app"].state.reads
        try:
            answer: Answer | None = None
            if path == _LIST:
                query = plain_query(scope["query_string"])
                if query is not None:
                    scope["titanium.route"] = route_name(_LIST, scope)
                    answer = await reads.posts(query)
            elif path == _CATEGORIES:
                scope["titanium.route"] = _CATEGORIES
                answer = await reads.categories()
            elif (match := _POST.fullmatch(path)) and match[1] != "0":
                scope["titanium.route"] = _LIST + "/{post_id}"
                answer = await reads.post(int(match[1]))
        except ServiceError as error:
            accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
            await error_response(error, accept.decode("latin-1"))(scope, receive, send)
            return
        if answer is None:
            await self._app(scope, receive, send)
        else:
            await send_answer(answer, scope, send)


def route_name(route: str, scope: Scope) -> str:
    """The route's name in metrics: a search is another journey than reading a list, and has its own."""
    query: bytes = scope["query_string"]
    return route + "?q" if query.startswith(b"q=") or b"&q=" in query else route


@lru_cache(maxsize=1024)
def plain_query(query_string: bytes) -> ListQuery | None:
    """The list that a plain query asks for; None for one that needs a closer look."""
    if len(query_string) > 500 or not query_string.isascii():
        return None
    numbers: dict[str, int] = {}
    texts: dict[str, str] = {}
    for pair in query_string.split(b"&") if query_string else ():
        name, _, raw = pair.decode().partition("=")
        if name in numbers or name in texts:
            return None
        if name in ("offset", "limit", "before", "after"):
            if not _NUMBER.fullmatch(raw):
                return None
            numbers[name] = int(raw)
        elif name in ("category", "q"):
            try:
                text = unquote_to_bytes(raw.replace("+", " ")).decode()
            except UnicodeDecodeError:
                return None
            if "\0" in text:
                return None
            texts[name] = text
        else:
            return None
    category, search = texts.get("category", ""), squeeze(texts.get("q", ""))
    limit = numbers.get("limit", 20)
    if not 1 <= limit <= 100 or len(category) > 80 or len(search) > 100:
        return None
    return ListQuery(
        limit, numbers.get("offset", 0), category, search, numbers.get("before", 0), numbers.get("after", 0)
    )
