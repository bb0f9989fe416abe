"""Accounts as user-service tells about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from titanium_common.http import ServiceClient, UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Account:
    """An account that can log in."""

    id: int
    username: str
    credentials_version: int
    """Goes up with each change of the password."""


def _account(body: Mapping[str, Any]) -> Account:
    return Account(int(body["id"]), str(body["username"]), int(body["credentials_version"]))


class AccountClient:
    """Calls user-service's internal routes. Every method raises `UpstreamUnavailable` (503) where that is away."""

    def __init__(self, url: str) -> None:
        self._client = ServiceClient("user-service", url, timeout=10.0)

    async def verify(self, username: str, password: str) -> Account | None:
        """Return whose credentials these are; None if nobody's."""
        status, body = await self._client.request(
            "POST",
            "/internal/verify-credentials",
            json={"username": username, "password": password},
            expect=frozenset({200, 401}),
        )
        return _account(body) if status == 200 else None

    async def read(self, account_id: int) -> Account | None:
        """Return the account; None if it is gone."""
        status, body = await self._client.request(
            "GET", f"/internal/accounts/{account_id}", expect=frozenset({200, 404})
        )
        return _account(body) if status == 200 else None

    async def change_password(self, account_id: int, current: str, new: str) -> Account | None:
        """Replace the password and return the account; None if `current` is wrong or the account is gone."""
        status, body = await self._client.request(
            "PUT",
            f"/internal/accounts/{account_id}/password",
            json={"current_password": current, "new_password": new},
            expect=frozenset({200, 401, 404}),
        )
        return _account(body) if status == 200 else None

    async def delete(self, account_id: int, password: str) -> bool:
        """Delete the account; False if `password` is wrong."""
        status, _ = await self._client.request(
            "POST",
            f"/internal/accounts/{account_id}/deletion",
            json={"password": password},
            expect=frozenset({204, 401, 404}),
        )
        return status != 401

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()


__all__ = ["Account", "AccountClient", "UpstreamUnavailable"]
