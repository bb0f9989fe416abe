"""Posts: list, read, write, change, remove."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AfterValidator
from starlette.responses import Response

from blog_service.answers import AnswerResponse
from blog_service.api.common import Id, IdempotencyKey, IfMatch, Writer, possible, reads, writes
from blog_service.errors import NotTheAuthor, PostNotFound, UnknownCategory, VersionMismatch
from blog_service.repository import ListQuery
from blog_service.schemas import (
    MAX_ID,
    NewPost,
    NoChanges,
    Post,
    PostChanges,
    PostSummary,
    post_etag,
    post_json,
)
from blog_service.text import squeeze
from titanium_common.errors import BadRequest, InvalidInput, JsonResponse, TooManyRequests, responses
from titanium_common.text import Text
from titanium_common.tokens import SecureRoute, TokenInvalid, TokenMissing

MAX_OFFSET = 2**31 - 1

router = APIRouter(prefix="/blog/api/posts", tags=["posts"], route_class=SecureRoute)

_WRITING = (TokenMissing, TokenInvalid, InvalidInput, TooManyRequests)


@router.get("", response_model=list[PostSummary], responses=responses(InvalidInput))
async def list_posts(
    request: Request,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    category: Annotated[Text, Query(max_length=80, description="A category's slug.")] = "",
    q: Annotated[Text, AfterValidator(squeeze), Query(max_length=100, description="Words, in Korean or English.")] = "",
    before: Annotated[int, Query(ge=0, le=MAX_ID, description="Only posts with a smaller id.")] = 0,
    after: Annotated[int, Query(ge=0, le=MAX_ID, description="Only posts with a larger id.")] = 0,
) -> Response:
    """Posts, newest id first. `X-Total-Count` has their number; `Link` leads to the next and previous ones."""
    return AnswerResponse(await reads(request).posts(ListQuery(limit, offset, category, q, before, after)))


@router.post("", status_code=201, response_model=Post, responses=responses(*_WRITING, UnknownCategory, BadRequest))
async def create_post(request: Request, user: Writer, new: NewPost, key: IdempotencyKey) -> Response:
    """Write a post."""
    row = await writes(request).create_post(user, new, key)
    headers = {"Location": f"/blog/api/posts/{row['id']}", "ETag": post_etag(row)}
    return JsonResponse(post_json(row), status_code=201, headers=headers)


@router.get("/{post_id}", response_model=Post, responses=responses(PostNotFound, InvalidInput))
async def read_post(request: Request, post_id: Id) -> Response:
    """A whole post. Its `ETag` names the version, for `If-Match`."""
    if not possible(post_id):
        raise PostNotFound
    return AnswerResponse(await reads(request).post(post_id))


@router.patch(
    "/{post_id}",
    response_model=Post | NoChanges,
    responses=responses(*_WRITING, PostNotFound, NotTheAuthor, VersionMismatch, UnknownCategory),
)
async def change_post(request: Request, user: Writer, post_id: Id, changes: PostChanges, if_match: IfMatch) -> Response:
    """Change an own post. With `If-Match`, only the version that it names."""
    if not possible(post_id):
        raise PostNotFound
    row = await writes(request).change_post(user, post_id, changes, if_match)
    if row is None:
        return JsonResponse({"message": "No changes"})
    return JsonResponse(post_json(row), headers={"ETag": post_etag(row)})


@router.delete(
    "/{post_id}", status_code=204, responses=responses(*_WRITING, PostNotFound, NotTheAuthor, VersionMismatch)
)
async def delete_post(request: Request, user: Writer, post_id: Id, if_match: IfMatch) -> Response:
    """Remove an own post and its comments. With `If-Match`, only the version that it names."""
    if not possible(post_id):
        raise PostNotFound
    await writes(request).delete_post(user, post_id, if_match)
    return Response(status_code=204)
