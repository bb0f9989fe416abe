"""What the API's routes share: the application's parts, parameters, limits on writing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Header, Path, Request

from blog_service.answers import entity_tags
from blog_service.schemas import MAX_ID
from titanium_common.errors import BadRequest
from titanium_common.ratelimit import limiter
from titanium_common.tokens import CurrentUser, User

if TYPE_CHECKING:
    from blog_service.reads import Reads
    from blog_service.settings import BlogSettings
    from blog_service.writes import Writes


def reads(request: Request) -> Reads:
    """The application's reads."""
    return cast("Reads", request.app.state.reads)


def writes(request: Request) -> Writes:
    """The application's writes."""
    return cast("Writes", request.app.state.writes)


def settings(request: Request) -> BlogSettings:
    """The service's settings."""
    return cast("BlogSettings", request.app.state.settings)


async def writing_user(request: Request, user: CurrentUser) -> User:
    """The user, counted against the limit on writes."""
    await limiter(request).hit(request, "write", settings(request).rate_limit_write, str(user.id))
    return user


Writer = Annotated[User, Depends(writing_user)]


def _if_match(
    if_match: Annotated[str | None, Header(description="The ETag of the version to change.")] = None,
) -> frozenset[str] | None:
    return None if if_match is None else entity_tags(if_match)


IfMatch = Annotated[frozenset[str] | None, Depends(_if_match)]


def _idempotency_key(
    idempotency_key: Annotated[
        str | None, Header(max_length=200, description="Repeating a request with the same key makes nothing twice.")
    ] = None,
) -> str | None:
    if idempotency_key is None:
        return None
    if not idempotency_key.isascii() or not idempotency_key.isprintable() or not idempotency_key:
        raise BadRequest("Idempotency-Key must be printable ASCII characters")
    return idempotency_key


IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]

# Larger numbers can't be ids of anything; routes answer 404 to them, as to any other id that there isn't.
Id = Annotated[int, Path(description=f"1 to {MAX_ID}")]


def possible(number: int) -> bool:
    """Whether PostgreSQL could have given out this id."""
    return 1 <= number <= MAX_ID
