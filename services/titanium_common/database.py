"""PostgreSQL through an asyncpg pool: time limits, a metric for each query, and 503 when it is away."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

import asyncpg

from titanium_common.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from titanium_common.metrics import Metrics
    from titanium_common.settings import Settings

log = logging.getLogger(__name__)

# What says "not now" rather than "never": the database is away, starting, stopping, full, or took too long.
UNAVAILABLE: tuple[type[BaseException], ...] = (
    OSError,  # ConnectionError and TimeoutError as well
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,  # shutdown, crash, cancelled by statement_timeout
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby, while roles change
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.UndefinedTableError,  # not migrated yet
    asyncpg.InvalidSchemaNameError,
)


async def _keep_session(connection: asyncpg.Connection) -> None:
    """Nothing to reset: sessions hold no state here, and asyncpg's reset would cost a round trip per request."""


class Session:
    """Runs queries on one connection; what `Database.transaction` and `Database.session` yield."""

    def __init__(self, connection: asyncpg.Connection, metrics: Metrics) -> None:
        self.connection = connection
        self._metrics = metrics

    async def _run(self, name: str, method: Callable[..., Awaitable[Any]], sql: str, *args: object) -> Any:
        started = perf_counter()
        try:
            return await method(sql, *args)
        finally:
            self._metrics.query(name, perf_counter() - started)

    async def fetch(self, name: str, sql: str, *args: object) -> list[asyncpg.Record]:
        """Return all rows; `name` labels the query in metrics."""
        rows: list[asyncpg.Record] = await self._run(name, self.connection.fetch, sql, *args)
        return rows

    async def fetchrow(self, name: str, sql: str, *args: object) -> asyncpg.Record | None:
        """Return the first row, or None."""
        return await self._run(name, self.connection.fetchrow, sql, *args)

    async def fetchval(self, name: str, sql: str, *args: object) -> Any:
        """Return the first column of the first row, or None."""
        return await self._run(name, self.connection.fetchval, sql, *args)

    async def execute(self, name: str, sql: str, *args: object) -> int:
        """Run a statement and return how many rows it touched."""
        tag: str = await self._run(name, self.connection.execute, sql, *args)
        count = tag.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0


class Database:
    """A pool of connections. Opening does not need PostgreSQL to be there; queries then raise `DatabaseUnavailable`."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Prepare a pool from `settings`; call `open` before use."""
        self._settings = settings
        self._metrics = metrics
        self._pool: asyncpg.Pool | None = None
        self._warm: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Make the pool and try a first connection in the background."""
        settings = self._settings
        self._pool = await asyncpg.create_pool(
            host=settings.database_host,
            port=settings.database_port,
            database=settings.database_name,
            user=settings.database_user or None,
            password=settings.database_password.get_secret_value() or None,
            min_size=0,
            max_size=settings.database_pool_size,
            max_inactive_connection_lifetime=300,
            timeout=min(3.0, settings.database_timeout),
            reset=_keep_session,
            command_timeout=settings.database_timeout + 1,
            server_settings={
                "application_name": settings.service,
                "statement_timeout": f"{int(settings.database_timeout * 1000)}ms",
                "lock_timeout": f"{int(settings.database_timeout * 600)}ms",
                "idle_in_transaction_session_timeout": f"{int(settings.database_timeout * 2000)}ms",
                "jit": "off",
            },
        )
        self._metrics.watch_pool(lambda: self.size - self.idle, lambda: self.idle)
        self._warm = asyncio.create_task(self._warm_up())

    async def _warm_up(self) -> None:
        try:
            await self.check()
        except DatabaseUnavailable:
            log.warning("PostgreSQL is not reachable yet; requests get 503 until it is")

    async def close(self) -> None:
        """Give the connections back, or cut them after 5 seconds."""
        if self._warm is not None:
            self._warm.cancel()
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @property
    def size(self) -> int:
        """Open connections."""
        return self._pool.get_size() if self._pool is not None else 0

    @property
    def idle(self) -> int:
        """Open connections that nobody uses."""
        return self._pool.get_idle_size() if self._pool is not None else 0

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Borrow a connection; each statement commits by itself.

        Raises:
            DatabaseUnavailable: PostgreSQL is away or too slow.
        """
        if self._pool is None:
            raise DatabaseUnavailable
        try:
            async with self._pool.acquire(timeout=self._settings.database_timeout) as connection:
                yield Session(connection, self._metrics)
        except UNAVAILABLE as error:
            self._metrics.database_errors.inc()
            # A server's message may hold data, the client library's own does not.
            reason = "" if isinstance(error, asyncpg.PostgresError) else str(error)
            log.warning("PostgreSQL is not available: %s %s", type(error).__name__, reason)
            raise DatabaseUnavailable from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """Borrow a connection and run what follows as one transaction, committed before the block is left.

        Raises:
            DatabaseUnavailable: PostgreSQL is away or too slow. The transaction may have been committed if the
                connection broke at the very end.
        """
        async with self.session() as session, session.connection.transaction():
            yield session

    async def fetch(self, name: str, sql: str, *args: object) -> list[asyncpg.Record]:
        """Return all rows; `name` labels the query in metrics."""
        async with self.session() as session:
            return await session.fetch(name, sql, *args)

    async def fetchrow(self, name: str, sql: str, *args: object) -> asyncpg.Record | None:
        """Return the first row, or None."""
        async with self.session() as session:
            return await session.fetchrow(name, sql, *args)

    async def fetchval(self, name: str, sql: str, *args: object) -> Any:
        """Return the first column of the first row, or None."""
        async with self.session() as session:
            return await session.fetchval(name, sql, *args)

    async def execute(self, name: str, sql: str, *args: object) -> int:
        """Run a statement and return how many rows it touched."""
        async with self.session() as session:
            return await session.execute(name, sql, *args)

    async def check(self) -> None:
        """Raise `DatabaseUnavailable` unless PostgreSQL answers."""
        await self.fetchval("check", "SELECT 1")
