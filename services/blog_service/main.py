"""The application."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.middleware import Middleware

from blog_service import cache
from blog_service.api import categories, comments, drafts, posts
from blog_service.front import Front
from blog_service.page.assets import Assets
from blog_service.page.views import Pages
from blog_service.reads import Reads
from blog_service.writes import Writes
from titanium_common.app import create_app as create_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

    from blog_service.settings import BlogSettings
    from titanium_common.logs import AccessLog


def create_app(settings: BlogSettings, access_log: AccessLog | None = None) -> FastAPI:
    """Make blog-service."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        client = cache.client(settings)
        answers = cache.Cache(client, app.state.metrics, timeout=settings.redis_timeout, ttl=settings.cache_ttl)
        app.state.reads = Reads(app.state.database, answers)
        app.state.writes = Writes(app.state.database, answers)
        app.state.assets = Assets()
        app.state.pages = Pages(app.state.database, answers, app.state.assets, settings.site_banner)
        yield
        await answers.close()
        if client is not None:
            await client.aclose()

    app = create_service(
        settings,
        title="Titanium blog-service",
        routers=[posts.router, categories.router, comments.router, drafts.router],
        database=True,
        redis=True,
        tokens=True,
        lifespan=lifespan,
        access_log=access_log,
    )
    app.router.redirect_slashes = False  # an unknown path is 404, and nobody learns the host's inner name
    app.user_middleware.append(Middleware(Front))  # innermost: requests are counted, limited and logged before
    return app
