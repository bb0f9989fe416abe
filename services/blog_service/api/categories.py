"""Categories."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from blog_service.answers import AnswerResponse
from blog_service.api.common import reads
from blog_service.schemas import Category

router = APIRouter(prefix="/blog/api/categories", tags=["categories"])


@router.get("", response_model=list[Category])
async def list_categories(request: Request) -> Response:
    """All categories in the order they were made, with how many posts each has."""
    return AnswerResponse(await reads(request).categories())
