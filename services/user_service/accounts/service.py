"""What one can do with accounts."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from titanium_common.errors import ServiceUnavailable
from titanium_common.text import comparable
from user_service.accounts.errors import UserNotFound, WrongCredentials

if TYPE_CHECKING:
    from user_service.accounts.passwords import PasswordHasher
    from user_service.accounts.repository import AccountRepository, AccountRow
    from user_service.accounts.schemas import Registration

BIGINT_MAX = 2**63 - 1


class AccountService:
    """Registers, checks, changes and deletes accounts."""

    def __init__(self, repository: AccountRepository, hasher: PasswordHasher) -> None:
        self._repository = repository
        self._hasher = hasher

    async def register(self, registration: Registration) -> AccountRow:
        """Make an account.

        Raises:
            UsernameTaken, EmailTaken: 400.
        """
        keys = comparable(registration.username), comparable(registration.email)
        # Asked first to save the hash; the constraints have the last word.
        await self._repository.exists(*keys)
        password_hash = await self._hasher.hash(registration.password)
        return await self._repository.create(registration.username, keys[0], registration.email, keys[1], password_hash)

    async def by_username(self, username: str) -> AccountRow:
        """Return the account with this name, in whatever letter case.

        Raises:
            UserNotFound: 404.
        """
        account = await self._repository.by_username(comparable(username))
        if account is None:
            raise UserNotFound
        return account

    async def by_id(self, account_id: int) -> AccountRow:
        """Return the account with this id.

        Raises:
            UserNotFound: 404.
        """
        account = await self._repository.by_id(account_id) if 0 < account_id <= BIGINT_MAX else None
        if account is None:
            raise UserNotFound
        return account

    async def verify(self, username: str, password: str) -> AccountRow:
        """Return the account that name and password belong to; takes as long where there is none.

        Raises:
            WrongCredentials: 401.
        """
        account = await self._repository.by_username(comparable(username))
        await self._check(account, password)
        assert account is not None
        if self._hasher.outdated(account.password_hash):
            # The next login tries again; this one has succeeded.
            with contextlib.suppress(ServiceUnavailable):
                await self._repository.rehash(account.id, account.password_hash, await self._hasher.hash(password))
        return account

    async def _check(self, account: AccountRow | None, password: str) -> None:
        if not await self._hasher.verify(account.password_hash if account else None, password):
            raise WrongCredentials

    async def change_password(self, account_id: int, current: str, new: str) -> AccountRow:
        """Replace an account's password.

        Raises:
            UserNotFound: 404.
            WrongCredentials: `current` is not the password; 401.
        """
        account = await self.by_id(account_id)
        await self._check(account, current)
        changed = await self._repository.change_password(
            account.id, account.credentials_version, await self._hasher.hash(new)
        )
        if changed is None:
            raise WrongCredentials
        return changed

    async def delete(self, account_id: int, password: str) -> None:
        """Delete an account.

        Raises:
            UserNotFound: 404.
            WrongCredentials: 401.
        """
        account = await self.by_id(account_id)
        await self._check(account, password)
        await self._repository.delete(account.id)
