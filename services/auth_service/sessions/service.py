"""What one can do with sessions."""

from __future__ import annotations

import hashlib
import logging
import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auth_service.sessions.errors import InvalidCredentials, SessionOver, WrongPassword
from titanium_common.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from auth_service.sessions.accounts import Account, AccountClient
    from auth_service.sessions.repository import SessionRepository
    from auth_service.sessions.tokens import AccessTokens
    from auth_service.settings import AuthSettings

log = logging.getLogger(__name__)

REPEAT_SECONDS = 60
"""How long after a refresh the same request may come again: longer than a browser takes to load a page anew."""


@dataclass(frozen=True, slots=True)
class IssuedSession:
    """What a client gets."""

    account: Account
    access_token: str
    refresh_token: str
    seconds_left: int
    """Until the session ends."""


def hash_token(token: str) -> bytes:
    """Return what is stored of a refresh token. It has 256 random bits, so a plain hash cannot be turned round."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class SessionService:
    """Begins, renews and ends sessions."""

    def __init__(
        self, settings: AuthSettings, repository: SessionRepository, accounts: AccountClient, tokens: AccessTokens
    ) -> None:
        self._lifetime = settings.session_lifetime
        self._repository = repository
        self._accounts = accounts
        self._tokens = tokens

    async def _begin(self, account: Account) -> IssuedSession:
        session_id = uuid.uuid4()
        refresh = secrets.token_urlsafe(32)
        await self._repository.create(
            session_id, account.id, account.credentials_version, self._lifetime, hash_token(refresh)
        )
        access = self._tokens.issue(account.id, account.username, str(session_id))
        return IssuedSession(account, access, refresh, self._lifetime)

    async def login(self, username: str, password: str) -> IssuedSession:
        """Begin a session.

        Raises:
            InvalidCredentials: 401.
            UpstreamUnavailable, DatabaseUnavailable: 503.
        """
        account = await self._accounts.verify(username, password)
        if account is None:
            raise InvalidCredentials
        return await self._begin(account)

    async def refresh(self, refresh_token: str, key: str = "") -> IssuedSession:
        """Exchange a refresh token for a new one and an access token.

        A token that comes back after its exchange has been stolen, from one of its holders or by one: nobody can tell,
        so the session ends for both. But a page that is reloaded while it waits never gets the answer, and asks again
        with the token that it has: the same request, as its key tells, is answered again.

        Parameters:
            key: the client's name for this request; a client that may ask again makes it hard to guess.

        Raises:
            SessionOver: 401.
            UpstreamUnavailable, DatabaseUnavailable: 503; the token has not been used up.
        """
        token_hash = hash_token(refresh_token)
        session = await self._repository.find(token_hash)
        if session is None or session.revoked or session.seconds_left <= 0:
            raise SessionOver
        # The account may have gone, or have a new password, since the login.
        account = await self._accounts.read(session.user_id)
        if account is None or account.credentials_version != session.credentials_version:
            await self._repository.revoke(session.id, "account" if account is None else "password")
            raise SessionOver
        refresh = secrets.token_urlsafe(32)
        if not await self._exchange(token_hash, hash_token(refresh), hash_token(key) if key else None):
            current = await self._repository.find(token_hash)
            if current is not None and current.used:
                await self._reused(session.id, session.user_id)
            raise SessionOver
        access = self._tokens.issue(account.id, account.username, str(session.id))
        return IssuedSession(account, access, refresh, session.seconds_left)

    async def _exchange(self, token_hash: bytes, new_hash: bytes, key_hash: bytes | None) -> bool:
        if await self._repository.rotate(token_hash, new_hash, key_hash):
            return True
        return key_hash is not None and await self._repository.repeat(token_hash, new_hash, key_hash, REPEAT_SECONDS)

    async def _reused(self, session_id: uuid.UUID, user_id: int) -> None:
        await self._repository.revoke(session_id, "reuse")
        log.warning("a refresh token of user %d was used twice; its session has been ended", user_id)
        raise SessionOver

    async def logout(self, refresh_token: str, session: str) -> None:
        """End a session, named by its refresh token or by the access token's session; fine if it has ended."""
        if refresh_token and (found := await self._repository.find(hash_token(refresh_token))):
            await self._repository.revoke(found.id, "logout")
        if session:
            await self._repository.revoke(uuid.UUID(session), "logout")

    async def change_password(self, user_id: int, current: str, new: str) -> IssuedSession:
        """Replace the password, end all sessions and begin a new one.

        Raises:
            WrongPassword: 403.
            UpstreamUnavailable, DatabaseUnavailable: 503.
        """
        account = await self._accounts.change_password(user_id, current, new)
        if account is None:
            raise WrongPassword
        await self._repository.revoke_all(user_id, "password")
        return await self._begin(account)

    async def delete_account(self, user_id: int, password: str) -> None:
        """Delete the account and forget its sessions.

        Raises:
            WrongPassword: 403.
            UpstreamUnavailable: 503.
        """
        if not await self._accounts.delete(user_id, password):
            raise WrongPassword
        try:
            await self._repository.delete_all(user_id)
        except DatabaseUnavailable:
            log.warning("sessions of deleted user %d stay until they end; they cannot be renewed", user_id)
