"""Everything that changes the blog: checks, one transaction each, and the cache told in the right order."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from blog_service import repository
from blog_service.cache import Scope
from blog_service.errors import (
    CommentNotFound,
    DraftNotFound,
    IncompleteDraft,
    KeyUsedElsewhere,
    NotTheAuthor,
    PostNotFound,
    TooManyDrafts,
    UnknownCategory,
    VersionMismatch,
)
from blog_service.schemas import draft_etag, post_etag

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncpg import Record

    from blog_service.cache import Cache
    from blog_service.schemas import DraftText, NewPost, PostChanges
    from titanium_common.database import Database, Session
    from titanium_common.tokens import User

MAX_DRAFTS = 200


class Writes:
    """The blog's changes, each on behalf of a user.

    Args that recur:
        if_match: the entity tags of an If-Match header; None if it was not sent.
        key: an Idempotency-Key; repeating a request with it repeats the first answer and changes nothing.
    """

    def __init__(self, database: Database, cache: Cache) -> None:
        self._database = database
        self._cache = cache

    async def create_post(self, user: User, new: NewPost, key: str | None = None) -> Record:
        """Add a post.

        Raises:
            UnknownCategory: there is no category of that id.
        """
        async with self._changing(Scope.POSTS) as session:
            if new.category_id is not None:
                category_id = await _existing_category(session, new.category_id)
            else:
                category_id = await repository.category_named(session, new.category_name or "")
            post_id = await repository.insert_post(
                session,
                title=new.title,
                content=new.content,
                category_id=category_id,
                author=user.username,
                author_id=user.id,
                idempotency_key=key,
            )
            if post_id is None and key is not None:
                post_id = await repository.find_repeated_post(session, user.id, key)
            return _found(await repository.get_post(session, post_id or 0))

    async def change_post(
        self, user: User, post_id: int, changes: PostChanges, if_match: frozenset[str] | None
    ) -> Record | None:
        """Change an own post; None if there was nothing to change.

        Raises:
            PostNotFound, NotTheAuthor: it is not there, or not the user's.
            VersionMismatch: it is not the version that the user has seen.
            UnknownCategory: there is no category of that id.
        """
        given = changes.model_fields_set
        if not given:
            async with self._database.session() as session:
                await self._own_post(session, user, post_id, if_match, lock=False)
            return None
        async with self._changing(Scope.POSTS) as session:
            await self._own_post(session, user, post_id, if_match)
            category_id = None
            if "category_id" in given:
                category_id = await _existing_category(session, changes.category_id)
            elif "category_name" in given:
                category_id = await repository.category_named(session, changes.category_name)
            await repository.update_post(
                session,
                post_id,
                title=changes.title if "title" in given else None,
                content=changes.content if "content" in given else None,
                category_id=category_id,
            )
            return _found(await repository.get_post(session, post_id))

    async def delete_post(self, user: User, post_id: int, if_match: frozenset[str] | None) -> None:
        """Remove an own post and its comments.

        Raises:
            PostNotFound, NotTheAuthor: it is not there, or not the user's.
            VersionMismatch: it is not the version that the user has seen.
        """
        async with self._changing(Scope.POSTS, Scope.COMMENTS) as session:
            await self._own_post(session, user, post_id, if_match)
            await repository.delete_post(session, post_id)

    async def create_comment(self, user: User, post_id: int, content: str, key: str | None = None) -> Record:
        """Add a comment to a post.

        Raises:
            PostNotFound: there is no such post.
            KeyUsedElsewhere: `key` was used for a comment on another post.
        """
        async with self._changing(Scope.COMMENTS) as session:
            comment = await repository.insert_comment(
                session, post_id, content=content, author=user.username, author_id=user.id, idempotency_key=key
            )
            if comment is None and key is not None:
                comment = await repository.find_repeated_comment(session, post_id, user.id, key)
            if comment is None:
                _found(await repository.get_post(session, post_id))
                raise KeyUsedElsewhere
            return comment

    async def delete_comment(self, user: User, post_id: int, comment_id: int) -> None:
        """Remove an own comment.

        Raises:
            CommentNotFound, NotTheAuthor: it is not there, or not the user's.
        """
        async with self._changing(Scope.COMMENTS) as session:
            comment = await repository.get_comment(session, post_id, comment_id)
            if comment is None:
                raise CommentNotFound
            if comment["author_id"] != user.id:
                raise NotTheAuthor
            await repository.delete_comment(session, comment_id)

    async def create_draft(self, user: User, text: DraftText) -> Record:
        """Keep a draft.

        Raises:
            TooManyDrafts: the user has `MAX_DRAFTS` already.
        """
        async with self._database.transaction() as session:
            if await repository.count_drafts(session, user.id) >= MAX_DRAFTS:
                raise TooManyDrafts
            return await repository.insert_draft(session, user.id, text.title, text.content, text.category_name)

    async def change_draft(self, user: User, draft_id: int, text: DraftText, if_match: frozenset[str] | None) -> Record:
        """Replace a draft's texts.

        Raises:
            DraftNotFound: the user has no such draft.
            VersionMismatch: it is not the version that the user has seen.
        """
        async with self._database.transaction() as session:
            await _own_draft(session, user, draft_id, if_match)
            return await repository.update_draft(session, draft_id, text.title, text.content, text.category_name)

    async def delete_draft(self, user: User, draft_id: int, if_match: frozenset[str] | None) -> None:
        """Remove a draft.

        Raises:
            DraftNotFound: the user has no such draft.
            VersionMismatch: it is not the version that the user has seen.
        """
        async with self._database.transaction() as session:
            await _own_draft(session, user, draft_id, if_match)
            await repository.delete_draft(session, draft_id)

    async def publish_draft(self, user: User, draft_id: int, if_match: frozenset[str] | None) -> Record:
        """Make the draft a post; the draft is gone then, so that it can't be published twice.

        Raises:
            DraftNotFound: the user has no such draft.
            VersionMismatch: it is not the version that the user has seen.
            IncompleteDraft: something a post needs is empty.
        """
        async with self._changing(Scope.POSTS) as session:
            draft = await _own_draft(session, user, draft_id, if_match)
            if not (draft["title"] and draft["content"].strip() and draft["category_name"]):
                raise IncompleteDraft
            category_id = await repository.category_named(session, draft["category_name"])
            post_id = await repository.insert_post(
                session,
                title=draft["title"],
                content=draft["content"],
                category_id=category_id,
                author=user.username,
                author_id=user.id,
            )
            await repository.delete_draft(session, draft_id)
            return _found(await repository.get_post(session, post_id or 0))

    @asynccontextmanager
    async def _changing(self, *scopes: Scope) -> AsyncIterator[Session]:
        """A transaction that outdates cached answers; a failed one leaves them alone."""
        marked = False
        try:
            async with self._database.transaction() as session:
                yield session
                marked = True
                await self._cache.mark(*scopes)
        finally:
            # Also when the commit failed: whether it came through may be unknown.
            if marked:
                await self._cache.replace(*scopes)

    @staticmethod
    async def _own_post(
        session: Session, user: User, post_id: int, if_match: frozenset[str] | None, *, lock: bool = True
    ) -> None:
        post = _found(await repository.get_post(session, post_id, lock=lock))
        if post["author_id"] != user.id:
            raise NotTheAuthor
        _check_version(post_etag(post), if_match)


def _found(post: Record | None) -> Record:
    if post is None:
        raise PostNotFound
    return post


async def _existing_category(session: Session, category_id: int) -> int:
    if not await repository.category_exists(session, category_id):
        raise UnknownCategory
    return category_id


async def _own_draft(session: Session, user: User, draft_id: int, if_match: frozenset[str] | None) -> Record:
    draft = await repository.get_draft(session, draft_id, user.id, lock=True)
    if draft is None:
        raise DraftNotFound
    _check_version(draft_etag(draft), if_match)
    return draft


def _check_version(etag: str, if_match: frozenset[str] | None) -> None:
    if if_match is not None and "*" not in if_match and etag not in if_match:
        raise VersionMismatch(headers={"ETag": etag})
