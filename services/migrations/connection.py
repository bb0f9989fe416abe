"""How migrations reach PostgreSQL: as `migrator`, with time limits, one run at a time."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import asyncpg
from pydantic import Field
from sqlalchemy import URL, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from titanium_common.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

VERSION_SCHEMA = "migrations"
"""Schema of Alembic's own table: none of the services' schemas, so that each of those can be dropped."""
_LOCK = 7310465126


class MigrationSettings(Settings):
    """Settings of a run; `DATABASE_USER` is `migrator` unless told otherwise."""

    service: ClassVar[str] = "migrations"

    database_user: str = "migrator"
    migration_lock_timeout: Annotated[float, Field(gt=0)] = 5.0
    """Seconds a statement may wait for a lock: one that waits longer would hold up every query queued behind it."""
    migration_statement_timeout: Annotated[float, Field(gt=0)] = 300.0
    """Seconds one statement may take."""
    migration_wait: Annotated[float, Field(ge=0)] = 60.0
    """Seconds to wait for PostgreSQL to come up."""


def _arguments(settings: MigrationSettings) -> dict[str, Any]:
    return {
        "host": settings.database_host,
        "port": settings.database_port,
        "database": settings.database_name,
        "user": settings.database_user,
        "password": settings.database_password.get_secret_value() or None,
        "timeout": 5,
    }


def wait_for_database(settings: MigrationSettings) -> None:
    """Return once PostgreSQL lets us in.

    Raises:
        SystemExit: it did not within `migration_wait` seconds, or refused the user; says what to look at.
    """
    where = f"PostgreSQL at {settings.database_host}:{settings.database_port}"

    async def attempt() -> None:
        connection = await asyncpg.connect(**_arguments(settings))
        await connection.close()

    deadline = time.monotonic() + settings.migration_wait
    told = False
    while True:
        try:
            asyncio.run(attempt())
        except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
            raise SystemExit(
                f"{where} refused user '{settings.database_user}' on database '{settings.database_name}': {error}. "
                "Check DATABASE_USER, DATABASE_PASSWORD and DATABASE_NAME."
            ) from None
        except (OSError, asyncpg.PostgresError) as error:
            if time.monotonic() >= deadline:
                raise SystemExit(
                    f"{where} cannot be reached: {type(error).__name__} {error}. Check DATABASE_HOST and DATABASE_PORT."
                ) from None
            if not told:
                print(f"waiting up to {settings.migration_wait:.0f} s for {where}", file=sys.stderr)
                told = True
            time.sleep(1)
        else:
            return


def create_engine(settings: MigrationSettings) -> AsyncEngine:
    """Return an engine for one run.

    A revision may pass several statements to one `op.execute`; they go to PostgreSQL as they are.
    """
    arguments = _arguments(settings)
    url = URL.create(
        "postgresql+asyncpg",
        username=arguments.pop("user"),
        password=arguments.pop("password"),
        host=arguments.pop("host"),
        port=arguments.pop("port"),
        database=arguments.pop("database"),
    )
    arguments["server_settings"] = {
        "application_name": "migrations",
        "lock_timeout": f"{int(settings.migration_lock_timeout * 1000)}ms",
        "statement_timeout": f"{int(settings.migration_statement_timeout * 1000)}ms",
    }
    engine = create_async_engine(url, connect_args=arguments, poolclass=NullPool)

    @event.listens_for(engine.sync_engine, "do_execute")
    def run_script(cursor: Any, statement: str, parameters: Any, context: Any) -> bool | None:
        # asyncpg prepares what SQLAlchemy executes, and a prepared statement holds one command only. What has no
        # parameters and returns nothing is sent by the simple protocol instead, in the same transaction.
        del context
        if parameters or ";" not in statement.strip().rstrip(";"):
            return None
        cursor.execute("SELECT 1", ())  # Begins the transaction.
        connection = cursor._adapt_connection
        connection.run_async(lambda raw: raw.execute(statement))
        return True

    return engine


def take_lock(connection: Connection) -> None:
    """Wait until no other run is at work: two pods may start at once."""
    # Waiting for a run that is at work is right, so the time limits do not hold for it.
    connection.execute(text("SET LOCAL lock_timeout = 0"))
    connection.execute(text(f"SELECT pg_advisory_lock({_LOCK})"))
    connection.commit()
