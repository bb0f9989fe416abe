"""The application."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from titanium_common.app import create_app as create_service
from user_service.accounts import endpoints, internal
from user_service.accounts.passwords import PasswordHasher
from user_service.accounts.repository import AccountRepository
from user_service.accounts.service import AccountService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

    from titanium_common.logs import AccessLog
    from user_service.settings import UserSettings


def create_app(settings: UserSettings, access_log: AccessLog | None = None) -> FastAPI:
    """Make user-service."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        hasher = PasswordHasher(settings)
        app.state.accounts = AccountService(AccountRepository(app.state.database), hasher)
        yield
        hasher.close()

    return create_service(
        settings,
        title="Titanium user-service",
        routers=[endpoints.router, internal.router],
        database=True,
        redis=True,
        tokens=True,
        lifespan=lifespan,
        access_log=access_log,
    )
