"""What can go wrong in the blog, as clients are told."""

from __future__ import annotations

from typing import Any

from titanium_common.errors import Conflict, Forbidden, NotFound, ServiceError, UnprocessableInput


class PostNotFound(NotFound):
    """There is no such post."""

    detail: Any = {"error": "Post not found"}  # noqa: RUF012 -- the contract's body

    def message(self) -> str:
        """The error in one sentence."""
        return "Post not found"


class CommentNotFound(NotFound):
    """There is no such comment on this post."""

    detail = "Comment not found"


class DraftNotFound(NotFound):
    """The user has no such draft."""

    detail = "Draft not found"


class NotTheAuthor(Forbidden):
    """Someone else wrote it."""

    detail = "Forbidden: not the author"


class UnknownCategory(UnprocessableInput):
    """There is no category with this id."""

    detail = "Unknown category_id"


class IncompleteDraft(UnprocessableInput):
    """A draft needs a title, a text and a category before it can be published."""

    detail = "Title, content and category are needed to publish"


class TooManyDrafts(Conflict):
    """The user has as many drafts as are kept."""

    detail = "Too many drafts: publish or delete one first"


class KeyUsedElsewhere(UnprocessableInput):
    """The Idempotency-Key was used for another comment's post."""

    detail = "Idempotency-Key was used for something else"


class VersionMismatch(ServiceError):
    """It was changed meanwhile: the version in If-Match is not the present one."""

    status = 412
    detail = "Changed meanwhile: load it again, then repeat your change"
