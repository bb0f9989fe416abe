"""What readers get from the API, through the cache."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from blog_service import markdown, repository
from blog_service.answers import json_answer
from blog_service.cache import Scope
from blog_service.errors import PostNotFound
from blog_service.schemas import comment_json, post_etag, post_json, summary_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncpg import Record

    from blog_service.cache import Answer, Cache
    from blog_service.repository import ListQuery, PostList
    from titanium_common.database import Database

LIST_PATH = "/blog/api/posts"


class Reads:
    """The API's answers to reads."""

    def __init__(self, database: Database, cache: Cache) -> None:
        self._database = database
        self._cache = cache

    async def posts(self, query: ListQuery) -> Answer:
        """A list of posts, with totals and links in headers."""

        async def load() -> Answer:
            async with self._database.session() as session:
                found = await repository.list_posts(session, query)
            headers = [(b"x-total-count", str(found.total).encode())]
            if links := _links(query, found):
                headers.append((b"link", links.encode()))
            return json_answer([summary_json(row) for row in found.posts], headers=headers)

        # The search comes last and alone may hold the separator.
        key = f"posts:{query.limit}:{query.offset}:{query.before}:{query.after}:{query.category}:{query.search}"
        return await self._cache.get(key, (Scope.POSTS,), load)

    async def post(self, post_id: int) -> Answer:
        """A whole post. Raises `PostNotFound`."""

        async def load() -> Answer:
            async with self._database.session() as session:
                row = await repository.get_post(session, post_id)
            if row is None:
                raise PostNotFound
            return json_answer(post_json(row), etag=post_etag(row))

        return await self._cache.get(f"post:{post_id}", (Scope.POSTS,), load)

    async def categories(self) -> Answer:
        """All categories with their counts."""

        async def load() -> Answer:
            async with self._database.session() as session:
                rows = await repository.list_categories(session)
            return json_answer([dict(row) for row in rows])

        return await self._cache.get("categories", (Scope.POSTS,), load)

    async def comments(self, post_id: int, after: int, limit: int) -> Answer:
        """A post's comments, oldest first. Raises `PostNotFound`."""

        async def load() -> Answer:
            async with self._database.session() as session:
                rows = await repository.list_comments(session, post_id, after=after, limit=limit + 1)
                if rows is None:
                    raise PostNotFound
                total = await repository.count_comments(session, post_id)
            headers = [(b"x-total-count", str(total).encode())]
            if len(rows) > limit:
                del rows[limit:]
                following = urlencode({"limit": limit, "after": rows[-1]["id"]})
                headers.append((b"link", f'<{LIST_PATH}/{post_id}/comments?{following}>; rel="next"'.encode()))
            return json_answer(await render_comments(rows), headers=headers)

        return await self._cache.get(f"comments:{post_id}:{after}:{limit}", (Scope.POSTS, Scope.COMMENTS), load)


async def render_comments(rows: Sequence[Record]) -> list[dict[str, object]]:
    """Rows of comments as clients get them; rendered in a thread, as Markdown takes time."""
    return await asyncio.to_thread(lambda: [comment_json(row, markdown.render(row["content"])) for row in rows])


def _links(query: ListQuery, found: PostList) -> str:
    """RFC 8288 links to the neighbouring pages, by id: they stay right while posts are added."""
    if not found.posts:
        return ""
    same: dict[str, object] = {"limit": query.limit}
    if query.category:
        same["category"] = query.category
    if query.search:
        same["q"] = query.search
    links = []
    if found.older:
        links.append(f'<{LIST_PATH}?{urlencode(same | {"before": found.posts[-1]["id"]})}>; rel="next"')
    if found.newer:
        links.append(f'<{LIST_PATH}?{urlencode(same | {"after": found.posts[0]["id"]})}>; rel="prev"')
    return ", ".join(links)
