"""Comments on posts."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from blog_service.answers import AnswerResponse
from blog_service.api.common import Id, IdempotencyKey, Writer, possible, reads, writes
from blog_service.errors import CommentNotFound, KeyUsedElsewhere, NotTheAuthor, PostNotFound
from blog_service.reads import render_comments
from blog_service.schemas import MAX_ID, Comment, NewComment
from titanium_common.errors import BadRequest, InvalidInput, JsonResponse, TooManyRequests, responses
from titanium_common.tokens import SecureRoute, TokenInvalid, TokenMissing

router = APIRouter(prefix="/blog/api/posts/{post_id}/comments", tags=["comments"], route_class=SecureRoute)

_WRITING = (TokenMissing, TokenInvalid, InvalidInput, TooManyRequests)


@router.get("", response_model=list[Comment], responses=responses(PostNotFound, InvalidInput))
async def list_comments(
    request: Request,
    post_id: Id,
    after: Annotated[int, Query(ge=0, le=MAX_ID, description="Only comments with a larger id.")] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Response:
    """A post's comments, oldest first. `X-Total-Count` has their number; `Link` leads to the next ones."""
    if not possible(post_id):
        raise PostNotFound
    return AnswerResponse(await reads(request).comments(post_id, after, limit))


@router.post(
    "",
    status_code=201,
    response_model=Comment,
    responses=responses(*_WRITING, PostNotFound, KeyUsedElsewhere, BadRequest),
)
async def create_comment(request: Request, user: Writer, post_id: Id, new: NewComment, key: IdempotencyKey) -> Response:
    """Write a comment."""
    if not possible(post_id):
        raise PostNotFound
    row = await writes(request).create_comment(user, post_id, new.content, key)
    return JsonResponse((await render_comments([row]))[0], status_code=201)


@router.delete("/{comment_id}", status_code=204, responses=responses(*_WRITING, CommentNotFound, NotTheAuthor))
async def delete_comment(request: Request, user: Writer, post_id: Id, comment_id: Id) -> Response:
    """Remove an own comment."""
    if not (possible(post_id) and possible(comment_id)):
        raise CommentNotFound
    await writes(request).delete_comment(user, post_id, comment_id)
    return Response(status_code=204)
