"""All SQL about accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from user_service.accounts.errors import EmailTaken, UsernameTaken

if TYPE_CHECKING:
    from titanium_common.database import Database


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A row of `users.accounts`."""

    id: int
    username: str
    email: str
    password_hash: str
    credentials_version: int


def _row(record: asyncpg.Record | None) -> AccountRow | None:
    return None if record is None else AccountRow(*record.values())


class AccountRepository:
    """Reads and writes `users.accounts`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def exists(self, username_key: str, email_key: str) -> None:
        """Raise `UsernameTaken` or `EmailTaken` if an account has one of them."""
        record = await self._database.fetchrow(
            "account_exists",
            "SELECT username_key = $1 AS username FROM users.accounts WHERE username_key = $1 OR email_key = $2 "
            "ORDER BY username_key = $1 DESC LIMIT 1",
            username_key,
            email_key,
        )
        if record is not None:
            raise UsernameTaken if record["username"] else EmailTaken

    async def create(
        self, username: str, username_key: str, email: str, email_key: str, password_hash: str
    ) -> AccountRow:
        """Add an account. The unique constraints decide, so that of two at once one gets it.

        Raises:
            UsernameTaken, EmailTaken: 400.
        """
        try:
            record = await self._database.fetchrow(
                "account_create",
                "INSERT INTO users.accounts (username, username_key, email, email_key, password_hash) "
                "VALUES ($1, $2, $3, $4, $5) RETURNING id, username, email, password_hash, credentials_version",
                username,
                username_key,
                email,
                email_key,
                password_hash,
            )
        except asyncpg.UniqueViolationError as error:
            raise (EmailTaken if error.constraint_name == "accounts_email_key" else UsernameTaken) from None
        row = _row(record)
        assert row is not None
        return row

    async def by_username(self, username_key: str) -> AccountRow | None:
        """Return the account with this name."""
        return _row(
            await self._database.fetchrow(
                "account_by_username",
                "SELECT id, username, email, password_hash, credentials_version FROM users.accounts "
                "WHERE username_key = $1",
                username_key,
            )
        )

    async def by_id(self, account_id: int) -> AccountRow | None:
        """Return the account with this id."""
        return _row(
            await self._database.fetchrow(
                "account_by_id",
                "SELECT id, username, email, password_hash, credentials_version FROM users.accounts WHERE id = $1",
                account_id,
            )
        )

    async def rehash(self, account_id: int, old_hash: str, new_hash: str) -> None:
        """Replace the hash of an unchanged password."""
        await self._database.execute(
            "account_rehash",
            "UPDATE users.accounts SET password_hash = $3 WHERE id = $1 AND password_hash = $2",
            account_id,
            old_hash,
            new_hash,
        )

    async def change_password(self, account_id: int, version: int, new_hash: str) -> AccountRow | None:
        """Replace the password, which ends older sessions; None if it was changed meanwhile or the account is gone."""
        return _row(
            await self._database.fetchrow(
                "account_change_password",
                "UPDATE users.accounts SET password_hash = $3, credentials_version = credentials_version + 1, "
                "updated_at = now() WHERE id = $1 AND credentials_version = $2 "
                "RETURNING id, username, email, password_hash, credentials_version",
                account_id,
                version,
                new_hash,
            )
        )

    async def delete(self, account_id: int) -> bool:
        """Remove an account; whether there was one."""
        return (
            await self._database.execute("account_delete", "DELETE FROM users.accounts WHERE id = $1", account_id) > 0
        )
