"""Drafts, which their authors alone see, and the preview of what a post will look like."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from blog_service import markdown, repository
from blog_service.api.common import Id, IfMatch, Writer, possible, settings, writes
from blog_service.errors import DraftNotFound, IncompleteDraft, TooManyDrafts, VersionMismatch
from blog_service.schemas import (
    Draft,
    DraftText,
    Post,
    Preview,
    PreviewText,
    draft_etag,
    draft_json,
    post_etag,
    post_json,
)
from blog_service.writes import MAX_DRAFTS
from titanium_common.app import state
from titanium_common.errors import InvalidInput, JsonResponse, TooManyRequests, responses
from titanium_common.ratelimit import limiter
from titanium_common.tokens import CurrentUser, SecureRoute, TokenInvalid, TokenMissing

router = APIRouter(prefix="/blog/api", tags=["drafts"], route_class=SecureRoute)

_READING = (TokenMissing, TokenInvalid, InvalidInput)
_WRITING = (*_READING, TooManyRequests)
_PRIVATE = {"Cache-Control": "no-store"}


@router.get("/drafts", response_model=list[Draft], responses=responses(TokenMissing, TokenInvalid))
async def list_drafts(request: Request, user: CurrentUser) -> Response:
    """The user's drafts, the one touched last first."""
    async with state(request).database.session() as session:
        rows = await repository.list_drafts(session, user.id, MAX_DRAFTS)
    return JsonResponse([draft_json(row) for row in rows], headers=_PRIVATE)


@router.post("/drafts", status_code=201, response_model=Draft, responses=responses(*_WRITING, TooManyDrafts))
async def create_draft(request: Request, user: Writer, text: DraftText) -> Response:
    """Keep a draft; everything may be empty."""
    row = await writes(request).create_draft(user, text)
    headers = {"Location": f"/blog/api/drafts/{row['id']}", "ETag": draft_etag(row), **_PRIVATE}
    return JsonResponse(draft_json(row), status_code=201, headers=headers)


@router.get("/drafts/{draft_id}", response_model=Draft, responses=responses(*_READING, DraftNotFound))
async def read_draft(request: Request, user: CurrentUser, draft_id: Id) -> Response:
    """One of the user's drafts. Its `ETag` names the version, for `If-Match`."""
    async with state(request).database.session() as session:
        row = await repository.get_draft(session, draft_id, user.id) if possible(draft_id) else None
    if row is None:
        raise DraftNotFound
    return JsonResponse(draft_json(row), headers={"ETag": draft_etag(row), **_PRIVATE})


@router.put("/drafts/{draft_id}", response_model=Draft, responses=responses(*_WRITING, DraftNotFound, VersionMismatch))
async def replace_draft(request: Request, user: Writer, draft_id: Id, text: DraftText, if_match: IfMatch) -> Response:
    """Replace a draft's texts. With `If-Match`, only of the version that it names."""
    if not possible(draft_id):
        raise DraftNotFound
    row = await writes(request).change_draft(user, draft_id, text, if_match)
    return JsonResponse(draft_json(row), headers={"ETag": draft_etag(row), **_PRIVATE})


@router.delete("/drafts/{draft_id}", status_code=204, responses=responses(*_WRITING, DraftNotFound, VersionMismatch))
async def delete_draft(request: Request, user: Writer, draft_id: Id, if_match: IfMatch) -> Response:
    """Remove a draft."""
    if not possible(draft_id):
        raise DraftNotFound
    await writes(request).delete_draft(user, draft_id, if_match)
    return Response(status_code=204)


@router.post(
    "/drafts/{draft_id}/publish",
    status_code=201,
    response_model=Post,
    responses=responses(*_WRITING, DraftNotFound, VersionMismatch, IncompleteDraft),
)
async def publish_draft(request: Request, user: Writer, draft_id: Id, if_match: IfMatch) -> Response:
    """Make a draft a post; the draft is gone then."""
    if not possible(draft_id):
        raise DraftNotFound
    row = await writes(request).publish_draft(user, draft_id, if_match)
    headers = {"Location": f"/blog/api/posts/{row['id']}", "ETag": post_etag(row)}
    return JsonResponse(post_json(row), status_code=201, headers=headers)


@router.post("/preview", response_model=Preview, responses=responses(*_WRITING))
async def preview(request: Request, user: CurrentUser, text: PreviewText) -> Response:
    """Markdown as a post would show it."""
    await limiter(request).hit(request, "preview", settings(request).rate_limit_preview, str(user.id))
    return JsonResponse({"html": await asyncio.to_thread(markdown.render, text.content)}, headers=_PRIVATE)
