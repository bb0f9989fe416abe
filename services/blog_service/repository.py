"""All SQL of the blog. Every function takes the session it runs in; none commits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from blog_service.palette import pick
from blog_service.text import search_words, slugify

if TYPE_CHECKING:
    from asyncpg import Record

    from titanium_common.database import Session

# Held while a category is made, so that two at once get different slugs and colours. Any constant will do.
_CATEGORY_LOCK = 0x626C6F67

_CATEGORY = "c.id AS category_id, c.name AS category_name, c.slug AS category_slug, c.color AS category_color"
_POST = f"p.id, p.title, p.content, p.author, p.author_id, p.version, p.created_at, p.updated_at, {_CATEGORY}"
_JOINED = "blog.posts AS p JOIN blog.categories AS c ON c.id = p.category_id"


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Which posts a list shows, newest id first.

    Parameters:
        limit: how many at most.
        offset: how many of the newest to pass over; without effect beside `before` or `after`.
        category: a category's slug; empty for all.
        search: words that a post must have, all of them; empty for all.
        before: only posts with a smaller id, the newest of them; 0 for all.
        after: only posts with a larger id, the oldest of them; 0 for all.
    """

    limit: int = 20
    offset: int = 0
    category: str = ""
    search: str = ""
    before: int = 0
    after: int = 0


@dataclass(frozen=True, slots=True)
class PostList:
    """A list's posts and what else there is.

    Parameters:
        posts: the posts, newest first.
        total: how many there are for the same category and search.
        newer: whether there are posts before the first one.
        older: whether there are posts after the last one.
    """

    posts: list[Record]
    total: int
    newer: bool
    older: bool


async def list_posts(session: Session, query: ListQuery, *, opening: int = 0) -> PostList:
    """The posts that `query` asks for, with the first `opening` characters of their texts as `opening` if not 0."""
    arguments: list[object] = []

    def bind(value: object) -> str:
        arguments.append(value)
        return f"${len(arguments)}"

    conditions = ["true"]
    if query.category:
        slug = bind(query.category)
        conditions.append(f"p.category_id = (SELECT id FROM blog.categories WHERE slug = {slug})")  # noqa: S608
    if query.search:
        words = search_words(query.search)
        if not words:
            return PostList([], 0, newer=False, older=False)
        for word in words:
            lexemes = f"{bind(word.lexemes)}::text::tsquery"
            if word.stem:
                lexemes = f"({lexemes} || plainto_tsquery('pg_catalog.english', {bind(word.stem)}))"
            conditions.append(f"p.search @@ {lexemes}")
            if word.substring:
                pattern = bind(word.substring)
                conditions.append(f"(p.title ILIKE {pattern} OR p.content ILIKE {pattern})")
    matching = " AND ".join(conditions)
    page, order, offset = matching, "DESC", 0
    if query.after:
        page, order = f"{matching} AND p.id > {bind(query.after)}", "ASC"
    elif query.before:
        page = f"{matching} AND p.id < {bind(query.before)}"
    else:
        offset = query.offset
    beginning = f", left(p.content, {bind(opening)}) AS opening" if opening else ""
    # One more than asked for tells whether there is a next page. The total comes along even if the page is empty.
    rows = await session.fetch(
        "posts.list",
        f"""
        SELECT total, page.*
        FROM (SELECT count(*) AS total FROM blog.posts AS p WHERE {matching}) AS counted
        LEFT JOIN (
          SELECT p.id, p.title, p.author, p.created_at, p.excerpt, {_CATEGORY}{beginning}
          FROM {_JOINED} WHERE {page} ORDER BY p.id {order} LIMIT {bind(query.limit + 1)} OFFSET {bind(offset)}
        ) AS page ON true
        ORDER BY page.id {order}
        """,  # noqa: S608 -- put together from constants; values are bound
        *arguments,
    )
    total = rows[0]["total"]
    posts = [row for row in rows if row["id"] is not None]
    more = len(posts) > query.limit
    del posts[query.limit :]
    if query.after:
        posts.reverse()
        return PostList(posts, total, newer=more, older=bool(posts))
    return PostList(posts, total, newer=bool(posts) and bool(query.before or offset), older=more)


async def get_post(session: Session, post_id: int, *, lock: bool = False) -> Record | None:
    """The post with its category, or None; `lock` keeps others from changing it until the transaction ends."""
    suffix = "FOR UPDATE OF p" if lock else ""
    return await session.fetchrow("posts.get", f"SELECT {_POST} FROM {_JOINED} WHERE p.id = $1 {suffix}", post_id)  # noqa: S608


async def insert_post(
    session: Session,
    *,
    title: str,
    content: str,
    category_id: int,
    author: str,
    author_id: int,
    idempotency_key: str | None = None,
) -> int | None:
    """Add a post and return its id, or None if the author has used `idempotency_key` before."""
    post_id: int | None = await session.fetchval(
        "posts.insert",
        """
        INSERT INTO blog.posts (title, content, category_id, author, author_id, idempotency_key)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (author_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
        RETURNING id
        """,
        title,
        content,
        category_id,
        author,
        author_id,
        idempotency_key,
    )
    return post_id


async def find_repeated_post(session: Session, author_id: int, idempotency_key: str) -> int | None:
    """The id of the post that the author made with `idempotency_key`, or None."""
    post_id: int | None = await session.fetchval(
        "posts.find_repeated",
        "SELECT id FROM blog.posts WHERE author_id = $1 AND idempotency_key = $2",
        author_id,
        idempotency_key,
    )
    return post_id


async def update_post(
    session: Session, post_id: int, *, title: str | None, content: str | None, category_id: int | None
) -> None:
    """Change what is not None."""
    await session.execute(
        "posts.update",
        """
        UPDATE blog.posts
        SET title = coalesce($2, title), content = coalesce($3, content), category_id = coalesce($4, category_id),
            version = version + 1, updated_at = now()
        WHERE id = $1
        """,
        post_id,
        title,
        content,
        category_id,
    )


async def delete_post(session: Session, post_id: int) -> None:
    """Remove the post and its comments."""
    await session.execute("posts.delete", "DELETE FROM blog.posts WHERE id = $1", post_id)


async def list_categories(session: Session) -> list[Record]:
    """All categories in their order, with the number of their posts."""
    return await session.fetch(
        "categories.list",
        """
        SELECT c.id, c.name, c.slug, c.color, coalesce(counted.posts, 0) AS post_count
        FROM blog.categories AS c
        LEFT JOIN (SELECT category_id, count(*) AS posts FROM blog.posts GROUP BY category_id) AS counted
          ON counted.category_id = c.id
        ORDER BY c.id
        """,
    )


async def category_exists(session: Session, category_id: int) -> bool:
    """Whether there is such a category."""
    sql = "SELECT EXISTS (SELECT FROM blog.categories WHERE id = $1)"
    return bool(await session.fetchval("categories.exists", sql, category_id))


async def category_named(session: Session, name: str) -> int:
    """The id of the category of that name, whatever its case; made, with a slug and colour of its own, if missing."""
    find = "SELECT id FROM blog.categories WHERE lower(name) = lower($1)"
    category_id: int | None = await session.fetchval("categories.find", find, name)
    if category_id is None:
        await session.execute("categories.lock", "SELECT pg_advisory_xact_lock($1)", _CATEGORY_LOCK)
        category_id = await session.fetchval("categories.find", find, name)
    if category_id is None:
        existing = await session.fetch("categories.all", "SELECT slug, color FROM blog.categories ORDER BY id")
        category_id = await session.fetchval(
            "categories.insert",
            "INSERT INTO blog.categories (name, slug, color) VALUES ($1, $2, $3) RETURNING id",
            name,
            slugify(name, {row["slug"] for row in existing}),
            pick([row["color"] for row in existing]),
        )
    assert category_id is not None
    return category_id


async def list_comments(session: Session, post_id: int, *, after: int = 0, limit: int) -> list[Record] | None:
    """The post's comments with ids above `after`, oldest first; None if there is no such post."""
    rows = await session.fetch(
        "comments.list",
        """
        SELECT comments.*
        FROM blog.posts AS p
        LEFT JOIN LATERAL (
          SELECT id, author, content, created_at FROM blog.comments WHERE post_id = p.id AND id > $2 ORDER BY id LIMIT $3
        ) AS comments ON true
        WHERE p.id = $1
        ORDER BY comments.id
        """,
        post_id,
        after,
        limit,
    )
    if not rows:
        return None
    return [row for row in rows if row["id"] is not None]


async def count_comments(session: Session, post_id: int) -> int:
    """How many comments the post has."""
    return int(
        await session.fetchval("comments.count", "SELECT count(*) FROM blog.comments WHERE post_id = $1", post_id)
    )


async def insert_comment(
    session: Session, post_id: int, *, content: str, author: str, author_id: int, idempotency_key: str | None
) -> Record | None:
    """Add a comment; None if there is no such post or the author has used `idempotency_key` before."""
    return await session.fetchrow(
        "comments.insert",
        """
        INSERT INTO blog.comments (post_id, content, author, author_id, idempotency_key)
        SELECT id, $2, $3, $4, $5 FROM blog.posts WHERE id = $1 FOR KEY SHARE
        ON CONFLICT (author_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
        RETURNING id, author, content, created_at
        """,
        post_id,
        content,
        author,
        author_id,
        idempotency_key,
    )


async def find_repeated_comment(session: Session, post_id: int, author_id: int, idempotency_key: str) -> Record | None:
    """The comment on the post that the author made with `idempotency_key`, or None."""
    return await session.fetchrow(
        "comments.find_repeated",
        """
        SELECT id, author, content, created_at FROM blog.comments
        WHERE post_id = $1 AND author_id = $2 AND idempotency_key = $3
        """,
        post_id,
        author_id,
        idempotency_key,
    )


async def get_comment(session: Session, post_id: int, comment_id: int) -> Record | None:
    """The comment, or None if the post has no such comment."""
    return await session.fetchrow(
        "comments.get", "SELECT author_id FROM blog.comments WHERE post_id = $1 AND id = $2", post_id, comment_id
    )


async def delete_comment(session: Session, comment_id: int) -> None:
    """Remove the comment."""
    await session.execute("comments.delete", "DELETE FROM blog.comments WHERE id = $1", comment_id)


_DRAFT = "id, title, content, category_name, version, created_at, updated_at"


async def list_drafts(session: Session, author_id: int, limit: int) -> list[Record]:
    """The author's drafts, the one touched last first."""
    return await session.fetch(
        "drafts.list",
        f"SELECT {_DRAFT} FROM blog.drafts WHERE author_id = $1 ORDER BY updated_at DESC, id DESC LIMIT $2",  # noqa: S608
        author_id,
        limit,
    )


async def count_drafts(session: Session, author_id: int) -> int:
    """How many drafts the author has."""
    return int(
        await session.fetchval("drafts.count", "SELECT count(*) FROM blog.drafts WHERE author_id = $1", author_id)
    )


async def get_draft(session: Session, draft_id: int, author_id: int, *, lock: bool = False) -> Record | None:
    """The author's draft, or None; another author's is as good as missing."""
    suffix = "FOR UPDATE" if lock else ""
    return await session.fetchrow(
        "drafts.get",
        f"SELECT {_DRAFT} FROM blog.drafts WHERE id = $1 AND author_id = $2 {suffix}",  # noqa: S608
        draft_id,
        author_id,
    )


async def insert_draft(session: Session, author_id: int, title: str, content: str, category_name: str) -> Record:
    """Add a draft."""
    row = await session.fetchrow(
        "drafts.insert",
        f"""
        INSERT INTO blog.drafts (author_id, title, content, category_name) VALUES ($1, $2, $3, $4) RETURNING {_DRAFT}
        """,  # noqa: S608
        author_id,
        title,
        content,
        category_name,
    )
    assert row is not None
    return row


async def update_draft(session: Session, draft_id: int, title: str, content: str, category_name: str) -> Record:
    """Replace the draft's texts."""
    row = await session.fetchrow(
        "drafts.update",
        f"""
        UPDATE blog.drafts SET title = $2, content = $3, category_name = $4, version = version + 1, updated_at = now()
        WHERE id = $1 RETURNING {_DRAFT}
        """,  # noqa: S608
        draft_id,
        title,
        content,
        category_name,
    )
    assert row is not None
    return row


async def delete_draft(session: Session, draft_id: int) -> None:
    """Remove the draft."""
    await session.execute("drafts.delete", "DELETE FROM blog.drafts WHERE id = $1", draft_id)
