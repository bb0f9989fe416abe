"""What clients send and get, and how rows become it."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 -- pydantic reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, model_validator

from blog_service.text import squeeze
from titanium_common.text import Text

if TYPE_CHECKING:
    from asyncpg import Record

MAX_ID = 2**63 - 1
MAX_CATEGORY_ID = 2**31 - 1


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


# Limits hold for what is kept, after white space is squeezed.
_Line = Annotated[Text, AfterValidator(squeeze)]

Title = Annotated[_Line, Field(min_length=1, max_length=120)]
Content = Annotated[Text, AfterValidator(_not_blank), Field(min_length=1, max_length=20000)]
CategoryName = Annotated[_Line, Field(min_length=1, max_length=50)]
CategoryId = Annotated[int, Field(strict=True, ge=1, le=MAX_CATEGORY_ID)]


class NewPost(BaseModel):
    """A post to be made, in a category given by id, or by a name that makes the category if it is new."""

    title: Title
    content: Content
    category_id: CategoryId | None = None
    category_name: CategoryName | None = None

    @model_validator(mode="after")
    def _has_category(self) -> NewPost:
        if self.category_id is None and self.category_name is None:
            raise ValueError("category_name or category_id is required")
        return self


class PostChanges(BaseModel):
    """What is to change in a post; what is left out stays."""

    title: Title = Field(default_factory=str, examples=["A better title"])
    content: Content = Field(default_factory=str, examples=["A better text."])
    category_id: CategoryId = Field(default_factory=int, examples=[1])
    category_name: CategoryName = Field(default_factory=str, examples=["Test"])


class DraftText(BaseModel):
    """A draft's texts; all may be empty."""

    title: Annotated[_Line, Field(max_length=120)] = ""
    content: Annotated[Text, Field(max_length=20000)] = ""
    category_name: Annotated[_Line, Field(max_length=50)] = ""


class NewComment(BaseModel):
    """A comment to be made; Markdown."""

    content: Annotated[Text, AfterValidator(_not_blank), Field(min_length=1, max_length=2000)]


class PreviewText(BaseModel):
    """Markdown to be shown as it would be in a post."""

    content: Annotated[Text, Field(max_length=20000)]


class CategoryRef(BaseModel):
    """A post's category."""

    id: int
    name: str
    slug: str
    color: str = Field(pattern="^#[0-9A-F]{6}$")


class Category(CategoryRef):
    """A category and how many posts it has."""

    post_count: int


class PostSummary(BaseModel):
    """A post in a list; `excerpt` is its first 120 characters."""

    id: int
    title: str
    author: str
    created_at: datetime
    excerpt: str
    category: CategoryRef


class Post(BaseModel):
    """A whole post; `content` is Markdown."""

    id: int
    title: str
    author: str
    created_at: datetime
    category: CategoryRef
    content: str
    updated_at: datetime


class NoChanges(BaseModel):
    """What a PATCH without any field answers."""

    message: str = "No changes"


class Comment(BaseModel):
    """A comment; `html` is its Markdown, rendered and safe to show."""

    id: int
    author: str
    created_at: datetime
    content: str
    html: str


class Draft(BaseModel):
    """A post that its author alone sees."""

    id: int
    title: str
    content: str
    category_name: str
    created_at: datetime
    updated_at: datetime


class Preview(BaseModel):
    """Rendered Markdown, safe to show."""

    html: str


def summary_json(row: Record) -> dict[str, Any]:
    """A row of a list as clients get it."""
    return {
        "id": row["id"],
        "title": row["title"],
        "author": row["author"],
        "created_at": row["created_at"],
        "excerpt": row["excerpt"],
        "category": category_json(row),
    }


def post_json(row: Record) -> dict[str, Any]:
    """A whole post's row as clients get it."""
    return {
        "id": row["id"],
        "title": row["title"],
        "author": row["author"],
        "created_at": row["created_at"],
        "category": category_json(row),
        "content": row["content"],
        "updated_at": row["updated_at"],
    }


def category_json(row: Record) -> dict[str, Any]:
    """The category of a post's row."""
    return {
        "id": row["category_id"],
        "name": row["category_name"],
        "slug": row["category_slug"],
        "color": row["category_color"],
    }


def comment_json(row: Record, html: str) -> dict[str, Any]:
    """A comment's row, rendered, as clients get it."""
    return {
        "id": row["id"],
        "author": row["author"],
        "created_at": row["created_at"],
        "content": row["content"],
        "html": html,
    }


def draft_json(row: Record) -> dict[str, Any]:
    """A draft's row as its author gets it."""
    return {name: row[name] for name in Draft.model_fields}


def post_etag(row: Record) -> str:
    """The entity tag of a post, which names its version; categories themselves never change."""
    return f'"{row["id"]}.{row["version"]}"'


def draft_etag(row: Record) -> str:
    """The entity tag of a draft, which names its version."""
    return f'"d{row["id"]}.{row["version"]}"'
