"""The application."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from auth_service.keys import KeyFileError, SigningKeys
from auth_service.sessions import endpoints
from auth_service.sessions.accounts import AccountClient
from auth_service.sessions.repository import SessionRepository
from auth_service.sessions.service import SessionService
from auth_service.sessions.tokens import AccessTokens
from titanium_common.app import create_app as create_service
from titanium_common.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

    from auth_service.settings import AuthSettings
    from titanium_common.logs import AccessLog

log = logging.getLogger(__name__)

KEY_CHECK = 10.0
"""Seconds between two looks at the key files."""
CLEANUP = 3600.0
"""Seconds between two removals of sessions that are over."""


async def _watch_keys(keys: SigningKeys) -> None:
    while True:
        await asyncio.sleep(KEY_CHECK)
        keys.refresh()


async def _clean_up(repository: SessionRepository) -> None:
    while True:
        with contextlib.suppress(DatabaseUnavailable):
            if removed := await repository.delete_expired():
                log.info("removed %d sessions that were over", removed)
        await asyncio.sleep(CLEANUP)


def create_app(settings: AuthSettings, access_log: AccessLog | None = None) -> FastAPI:
    """Make auth-service.

    Raises:
        SystemExit: there is no usable signing key; says which file and how to make one.
    """
    try:
        keys = SigningKeys(settings.jwt_key_dir)
    except KeyFileError as error:
        raise SystemExit(str(error)) from None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        accounts = AccountClient(settings.user_service_url)
        repository = SessionRepository(app.state.database)
        app.state.sessions = SessionService(settings, repository, accounts, app.state.tokens)
        tasks = [asyncio.create_task(_watch_keys(keys)), asyncio.create_task(_clean_up(repository))]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await accounts.close()

    app = create_service(
        settings,
        title="Titanium auth-service",
        routers=[endpoints.router],
        database=True,
        redis=True,
        lifespan=lifespan,
        access_log=access_log,
    )
    # It verifies with its own keys; other services read them from /.well-known/jwks.json.
    app.state.tokens = AccessTokens(keys, settings.access_token_lifetime)
    return app
