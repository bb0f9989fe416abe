"""Argon2id on a few threads of its own: hashing takes tens of milliseconds and must not hold up the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from titanium_common.errors import ServiceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from user_service.settings import UserSettings

T = TypeVar("T")


class TooBusy(ServiceUnavailable):
    """More passwords are waiting to be checked than can be in good time."""


class PasswordHasher:
    """Hashes and verifies passwords, a bounded number at a time."""

    def __init__(self, settings: UserSettings) -> None:
        """Prepare with the parameters in `settings`."""
        self._argon2 = argon2.PasswordHasher(
            time_cost=settings.argon2_time, memory_cost=settings.argon2_memory, parallelism=1
        )
        self._executor = ThreadPoolExecutor(settings.argon2_threads, thread_name_prefix="argon2")
        self._capacity = settings.argon2_threads + settings.argon2_queue
        self._pending = 0
        # What a login under an unknown name is checked against, so that it takes as long as one under a known name.
        self._dummy = self._argon2.hash("no account has this password")

    async def _run(self, function: Callable[..., T], *args: object) -> T:
        if self._pending >= self._capacity:
            raise TooBusy
        self._pending += 1
        # The future, not the waiting task, says when the work is over: a client that leaves frees no thread.
        future = self._executor.submit(function, *args)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        return await asyncio.wrap_future(future)

    def _done(self) -> None:
        self._pending -= 1

    async def hash(self, password: str) -> str:
        """Return the encoded hash of `password`.

        Raises:
            TooBusy: too many are waiting.
        """
        return await self._run(self._argon2.hash, password)

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Whether `password` is the one that was hashed; takes as long, and is false, where `encoded` is None.

        Raises:
            TooBusy: too many are waiting.
        """
        return await self._run(self._verify, encoded or self._dummy, password) and encoded is not None

    def _verify(self, encoded: str, password: str) -> bool:
        try:
            return self._argon2.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False

    def outdated(self, encoded: str) -> bool:
        """Whether `encoded` was made with other parameters than new ones are."""
        return self._argon2.check_needs_rehash(encoded)

    def close(self) -> None:
        """Let the threads go."""
        self._executor.shutdown(wait=False, cancel_futures=True)
