"""Which page an address shows, and its HTML.

Every page is the same for all readers of a language: who is logged in shows in the browser alone. So pages are kept in
the cache like the API's answers, and outdated by the same writes.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from blog_service import markdown, palette, repository
from blog_service.answers import REVALIDATE, send_answer
from blog_service.cache import Answer
from blog_service.cache import Scope as Written
from blog_service.errors import PostNotFound
from blog_service.page.words import COOKIE, LANGUAGES, WORDS, Words, choose_language
from blog_service.reads import render_comments
from blog_service.repository import ListQuery
from blog_service.schemas import MAX_ID
from blog_service.text import squeeze
from titanium_common.errors import ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import Scope, Send

    from blog_service.cache import Cache
    from blog_service.page.assets import Assets
    from titanium_common.database import Database

PAGE_SIZE: Final = 10
COMMENTS_SIZE: Final = 50
#: Characters of a post's Markdown that a list looks at for its beginning in plain words.
OPENING: Final = 400
MAX_PAGE: Final = 10_000_000
SEEDED_CATEGORIES: Final = 3

_POST_PATH = re.compile(r"/blog/posts/([0-9]{1,19})/?")
_EDIT_PATH = re.compile(r"/blog/posts/([0-9]{1,19})/edit/?")
_FORMS: Final = {
    "/blog/write": "editor",
    "/blog/drafts": "drafts",
    "/blog/login": "login",
    "/blog/register": "register",
}

_HTML_HEADERS: Final = [
    (b"content-type", b"text/html; charset=utf-8"),
    REVALIDATE,
    (b"vary", b"accept-language, cookie"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; connect-src 'self'; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"x-frame-options", b"DENY"),
]


class Pages:
    """The pages at `/` and below `/blog/`."""

    def __init__(self, database: Database, cache: Cache, assets: Assets, banner: str = "") -> None:
        self._database = database
        self._cache = cache
        # The cache is shared with replicas that may show something else.
        self._version = assets.version + (hashlib.sha256(banner.encode()).hexdigest()[:12] if banner else "")
        self._environment = Environment(
            loader=PackageLoader("blog_service.page"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals |= {
            "asset": assets.url,
            "banner": banner,
            "hue": palette.css_class,
            "languages": LANGUAGES,
            "plain": markdown.plain,
        }

    async def send(self, scope: Scope, send: Send) -> None:
        """Answer a GET or HEAD with a page."""
        cookie = accept_language = b""
        for name, value in scope["headers"]:
            if name == b"cookie":
                cookie = value
            elif name == b"accept-language":
                accept_language = value
        path = "/blog/" if scope["path"] == "/" else scope["path"]
        query = _parse(scope["query_string"])
        if (chosen := query.pop("lang", "")) in LANGUAGES:
            await _send_choice(chosen, scope["path"], query, send)
            return
        language = choose_language(cookie, accept_language)
        try:
            answer = await self._page(path, query, WORDS[language])
        except ServiceUnavailable:
            await self._send_unavailable(WORDS[language], scope, send)
            return
        await send_answer(answer, scope, send)

    async def _page(self, path: str, query: dict[str, str], words: Words) -> Answer:
        if path == "/blog/":
            return await self._list(query, words)
        if match := _POST_PATH.fullmatch(path):
            return await self._post(int(match[1]), _number(query.get("after"), MAX_ID), words)
        if match := _EDIT_PATH.fullmatch(path):
            return await self._editor(int(match[1]), words)
        form = _FORMS.get(path.rstrip("/"))
        if form == "editor":
            return await self._editor(0, words)
        if form is not None:
            return await self._kept(form, (), words, lambda: self._html(f"{form}.html", words, page=form))
        return await self._missing(words)

    async def _list(self, query: dict[str, str], words: Words) -> Answer:
        category = query.get("category", "")[:80]
        search = squeeze(query.get("q", ""))[:100]
        number = max(1, _number(query.get("page"), MAX_PAGE))

        async def load() -> Answer:
            offset = (number - 1) * PAGE_SIZE
            async with self._database.session() as session:
                found = await repository.list_posts(
                    session, ListQuery(PAGE_SIZE, offset, category, search), opening=OPENING
                )
                categories = await repository.list_categories(session)
            chosen = next((row for row in categories if row["slug"] == category), None)

            def address(page: int = 1, **changes: str) -> str:
                parameters = {"category": category, "q": search, "page": str(page) if page > 1 else ""} | changes
                kept = urlencode({name: value for name, value in parameters.items() if value})
                return f"/blog/?{kept}" if kept else "/blog/"

            return self._html(
                "list.html",
                words,
                page="list",
                posts=found.posts,
                total=found.total,
                everything=sum(row["post_count"] for row in categories),
                tabs=[
                    row
                    for row in categories
                    if row["post_count"] or row["id"] <= SEEDED_CATEGORIES or row["slug"] == category
                ],
                category=category,
                chosen=chosen,
                search=search,
                number=number,
                last=max(1, math.ceil(found.total / PAGE_SIZE)),
                address=address,
            )

        return await self._kept(f"list:{number}:{category}:{search}", (Written.POSTS,), words, load)

    async def _post(self, post_id: int, after: int, words: Words) -> Answer:
        async def load() -> Answer:
            async with self._database.session() as session:
                post = await repository.get_post(session, post_id)
                if post is None:
                    raise PostNotFound
                comments = await repository.list_comments(session, post_id, after=after, limit=COMMENTS_SIZE + 1) or []
                total = await repository.count_comments(session, post_id)
            shown = comments[:COMMENTS_SIZE]
            content, rendered = await asyncio.gather(
                asyncio.to_thread(markdown.render, post["content"]), render_comments(shown)
            )
            return self._html(
                "post.html",
                words,
                page="post",
                post=post,
                content=Markup(content),  # noqa: S704 -- cleaned by markdown.render
                minutes=max(1, round(len(post["content"]) / 700)),
                comments=[comment | {"html": Markup(str(comment["html"]))} for comment in rendered],  # noqa: S704
                comments_total=total,
                comments_after=after,
                comments_next=shown[-1]["id"] if len(comments) > COMMENTS_SIZE else 0,
            )

        if not 1 <= post_id <= MAX_ID:
            return await self._missing(words)
        try:
            return await self._kept(f"post:{post_id}:{after}", (Written.POSTS, Written.COMMENTS), words, load)
        except PostNotFound:
            return await self._missing(words)

    async def _editor(self, post_id: int, words: Words) -> Answer:
        async def load() -> Answer:
            async with self._database.session() as session:
                categories = await repository.list_categories(session)
            return self._html("editor.html", words, page="editor", post_id=post_id, categories=categories)

        if post_id > MAX_ID:
            return await self._missing(words)
        return await self._kept(f"editor:{post_id}", (Written.POSTS,), words, load)

    async def _missing(self, words: Words) -> Answer:
        return await self._kept("missing", (), words, lambda: self._html("missing.html", words, page="missing"))

    async def _kept(
        self,
        key: str,
        scopes: tuple[Written, ...],
        words: Words,
        load: Callable[[], Answer | Awaitable[Answer]],
    ) -> Answer:
        async def made() -> Answer:
            answer = load()
            return answer if isinstance(answer, Answer) else await answer

        return await self._cache.get(f"page:{self._version}:{words.language}:{key}", scopes, made)

    def _html(self, template: str, words: Words, **values: Any) -> Answer:
        return Answer(self._render(template, words, values), _HTML_HEADERS)

    def _render(self, template: str, words: Words, values: Mapping[str, Any]) -> bytes:
        defaults = {"search": "", "words": words, "language": words.language}
        return self._environment.get_template(template).render(defaults | dict(values)).encode()

    async def _send_unavailable(self, words: Words, scope: Scope, send: Send) -> None:
        body = self._render("unavailable.html", words, {"page": "unavailable"})
        headers = [
            *((name, value) for name, value in _HTML_HEADERS if name != b"cache-control"),
            (b"cache-control", b"no-store"),
            (b"retry-after", b"1"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _send_choice(language: str, path: str, query: Mapping[str, str], send: Send) -> None:
    """Remember the language in a cookie and show the page again: works without scripts."""
    # One leading slash: `//host/` would lead elsewhere.
    target = "/" + path.lstrip("/") + (f"?{urlencode(query)}" if query else "")
    headers = [
        (b"location", _header_safe(target)),
        (b"set-cookie", f"{COOKIE}={language}; Path=/; Max-Age=31536000; SameSite=Lax".encode()),
        (b"cache-control", b"no-store"),
        (b"content-length", b"0"),
    ]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _header_safe(target: str) -> bytes:
    return quote(target, safe="/?&=%+:@!$'()*,;~-._").encode()


def _parse(query_string: bytes) -> dict[str, str]:
    """The query's parameters, the first of each name; what can't be stored is left out."""
    parsed: dict[str, str] = {}
    if query_string:
        for name, value in parse_qsl(query_string[:2000].decode("latin-1"), max_num_fields=50):
            parsed.setdefault(name, value.replace("\0", ""))
    return parsed


def _number(text: str | None, largest: int) -> int:
    """A parameter's number, 0 if it is none or too large."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 19:
        return 0
    return int(text) if int(text) <= largest else 0
