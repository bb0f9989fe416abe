"""What Alembic runs for every command; see its documentation for `env.py`."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from alembic import command, context
from alembic.script import ScriptDirectory
from sqlalchemy import text

from migrations.connection import VERSION_SCHEMA, MigrationSettings, create_engine, take_lock

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger(__name__)


def is_newer_than_we_are(heads: tuple[str, ...]) -> bool:
    """Return whether the database has a revision that this version does not know."""
    known = {revision.revision for revision in ScriptDirectory.from_config(context.config).walk_revisions()}
    return not known.issuperset(heads)


def run(connection: Connection) -> None:
    """Run the command on `connection`, each revision in a transaction of its own."""
    take_lock(connection)
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {VERSION_SCHEMA}"))
    connection.commit()
    context.configure(connection=connection, version_table_schema=VERSION_SCHEMA, transaction_per_migration=True)
    heads = context.get_context().get_current_heads()
    connection.commit()
    upgrading = context.config.cmd_opts is not None and context.config.cmd_opts.cmd[0] is command.upgrade
    if upgrading and is_newer_than_we_are(heads):
        # A rollback must not be held up: every revision is compatible with the version before it (expand, contract).
        log.warning(
            "the database is at revision %s, which this version does not know: left as it is, to suit a rollback by one "
            "version. To go further back, downgrade first with the version that made it.",
            ", ".join(heads),
        )
        return
    with context.begin_transaction():
        context.run_migrations()


async def run_online(settings: MigrationSettings) -> None:
    """Connect and run the command."""
    engine = create_engine(settings)
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


def run_offline() -> None:
    """Print the SQL instead."""
    context.configure(
        url="postgresql+asyncpg://",
        version_table_schema=VERSION_SCHEMA,
        literal_binds=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.execute(f"CREATE SCHEMA IF NOT EXISTS {VERSION_SCHEMA}")
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    asyncio.run(run_online(context.config.attributes["settings"]))
