"""Runs Alembic: `python -m migrations upgrade head`, `... current`, `... downgrade 0001`, `... upgrade head --sql`."""

from __future__ import annotations

import sys
from pathlib import Path

import asyncpg
from alembic.config import CommandLine, Config
from sqlalchemy.exc import DBAPIError

from migrations.connection import MigrationSettings, wait_for_database
from titanium_common.logs import configure_logging
from titanium_common.server import load


def main(arguments: list[str]) -> None:
    """Run one Alembic command against the database that `DATABASE_*` names.

    Args:
        arguments: Alembic's own, such as `["upgrade", "head"]`.

    Raises:
        SystemExit: wrong arguments, or PostgreSQL cannot be reached; says why.
    """
    command = CommandLine(prog="python -m migrations")
    options = command.parser.parse_args(arguments or ["--help"])
    if not hasattr(options, "cmd"):
        command.parser.error("name a command, such as: upgrade head")
    settings = load(MigrationSettings)
    config = Config(cmd_opts=options)
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["settings"] = settings
    if not getattr(options, "sql", False):
        configure_logging(settings.service, settings.log_level)
        wait_for_database(settings)
    try:
        command.run_cmd(config, options)
    except (DBAPIError, asyncpg.PostgresError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        hint = getattr(reason, "hint", None)
        raise SystemExit(
            f"migration failed, and its revision is undone: {reason}{f' ({hint})' if hint else ''}"
        ) from None


if __name__ == "__main__":
    main(sys.argv[1:])
