"""All SQL about sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from uuid import UUID

    from titanium_common.database import Database

Reason = Literal["logout", "reuse", "password", "account"]


@dataclass(frozen=True, slots=True)
class Session:
    """The family a refresh token belongs to."""

    id: UUID
    user_id: int
    credentials_version: int
    seconds_left: int
    """Until its last refresh token ends; negative if it has."""
    revoked: bool
    used: bool
    """Whether the token was exchanged before."""


class SessionRepository:
    """Reads and writes `auth.families` and `auth.refresh_tokens`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, session_id: UUID, user_id: int, credentials_version: int, lifetime: int, token_hash: bytes
    ) -> None:
        """Begin a session that ends after `lifetime` seconds, with its first refresh token."""
        await self._database.execute(
            "session_create",
            "WITH family AS (INSERT INTO auth.families (id, user_id, credentials_version, expires_at) "
            "VALUES ($1, $2, $3, now() + make_interval(secs => $4)) RETURNING id) "
            "INSERT INTO auth.refresh_tokens (token_hash, family_id) SELECT $5, id FROM family",
            session_id,
            user_id,
            credentials_version,
            lifetime,
            token_hash,
        )

    async def find(self, token_hash: bytes) -> Session | None:
        """Return the session that a refresh token belongs to."""
        record = await self._database.fetchrow(
            "session_find",
            "SELECT f.id, f.user_id, f.credentials_version, extract(epoch FROM f.expires_at - now())::int, "
            "f.revoked_at IS NOT NULL, t.used_at IS NOT NULL "
            "FROM auth.refresh_tokens t JOIN auth.families f ON f.id = t.family_id WHERE t.token_hash = $1",
            token_hash,
        )
        return None if record is None else Session(*record.values())

    async def rotate(self, token_hash: bytes, new_hash: bytes, key_hash: bytes | None) -> bool:
        """Exchange a refresh token for a new one, if it is unused and its session goes on; whether it was.

        One statement: of two requests with the same token, one waits for the other and then finds it used.

        Parameters:
            key_hash: names the request, so that `repeat` knows it again.
        """
        return (
            await self._database.execute(
                "session_rotate",
                "WITH used AS (UPDATE auth.refresh_tokens t SET used_at = now(), used_for = $3 FROM auth.families f "
                "WHERE t.token_hash = $1 AND t.used_at IS NULL AND f.id = t.family_id "
                "AND f.revoked_at IS NULL AND f.expires_at > now() RETURNING t.family_id) "
                "INSERT INTO auth.refresh_tokens (token_hash, family_id) SELECT $2, family_id FROM used",
                token_hash,
                new_hash,
                key_hash,
            )
            == 1
        )

    async def repeat(self, token_hash: bytes, new_hash: bytes, key_hash: bytes, seconds: int) -> bool:
        """Exchange a refresh token once more, for a request whose answer was lost; whether it was.

        It must be the request that used the token, less than `seconds` ago, and what it was answered must not have been
        used. That answer is worth nothing from then on: whoever comes with it ends the session.
        """
        async with self._database.transaction() as session:
            # Requests with the same token take turns, and each sees what the one before has done.
            await session.execute(
                "session_lock",
                "SELECT FROM auth.families WHERE id = (SELECT family_id FROM auth.refresh_tokens WHERE token_hash = $1) "
                "FOR UPDATE",
                token_hash,
            )
            return (
                await session.execute(
                    "session_repeat",
                    "WITH again AS (SELECT t.family_id FROM auth.refresh_tokens t "
                    "JOIN auth.families f ON f.id = t.family_id "
                    "WHERE t.token_hash = $1 AND t.used_for = $3 AND t.used_at > now() - make_interval(secs => $4) "
                    "AND f.revoked_at IS NULL AND f.expires_at > now() AND NOT EXISTS (SELECT FROM auth.refresh_tokens s "
                    "WHERE s.family_id = t.family_id AND s.created_at >= t.used_at AND s.used_at > '-infinity')), "
                    "lost AS (UPDATE auth.refresh_tokens s SET used_at = '-infinity' FROM again "
                    "WHERE s.family_id = again.family_id AND s.used_at IS NULL) "
                    "INSERT INTO auth.refresh_tokens (token_hash, family_id) SELECT $2, family_id FROM again",
                    token_hash,
                    new_hash,
                    key_hash,
                    seconds,
                )
                == 1
            )

    async def revoke(self, session_id: UUID, reason: Reason) -> None:
        """End a session."""
        await self._database.execute(
            "session_revoke",
            "UPDATE auth.families SET revoked_at = now(), revoked_because = $2 WHERE id = $1 AND revoked_at IS NULL",
            session_id,
            reason,
        )

    async def revoke_all(self, user_id: int, reason: Reason) -> None:
        """End all sessions of a user."""
        await self._database.execute(
            "session_revoke_all",
            "UPDATE auth.families SET revoked_at = now(), revoked_because = $2 "
            "WHERE user_id = $1 AND revoked_at IS NULL",
            user_id,
            reason,
        )

    async def delete_all(self, user_id: int) -> None:
        """Forget all sessions of a user who is gone."""
        await self._database.execute("session_delete_all", "DELETE FROM auth.families WHERE user_id = $1", user_id)

    async def delete_expired(self) -> int:
        """Forget sessions that could not be renewed any more anyway; return how many."""
        return await self._database.execute(
            "session_delete_expired",
            "DELETE FROM auth.families WHERE id IN "
            "(SELECT id FROM auth.families WHERE expires_at < now() - interval '1 day' LIMIT 1000)",
        )
