"""Settings of blog-service."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from titanium_common.settings import BackendSettings


class BlogSettings(BackendSettings):
    """What blog-service is told besides what every service is."""

    service: ClassVar[str] = "blog-service"

    port: Annotated[int, Field(ge=1, le=65535)] = 8005
    database_user: str = "blog_service"
    cache_ttl: Annotated[int, Field(ge=1, le=3600)] = 60
    """Seconds an answer is kept; also the longest a replica that alone is cut off from Redis can be behind."""
    rate_limit_write: str = "600/minute"
    """Posts, comments and drafts that one user may write; empty for no limit."""
    rate_limit_preview: str = "240/minute"
    """Previews that one user may ask for; empty for no limit."""
    site_banner: Annotated[str, Field(max_length=200)] = ""
    """A line of text at the top of every page; empty for none."""
