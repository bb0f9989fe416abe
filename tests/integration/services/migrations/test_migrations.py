"""The schema's way up and down, its rights, and its manners towards a database in use."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.harness.postgres import ROOT, SERVICE_ROLES, Postgres
from tests.harness.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


def schema(postgres: Postgres, database: str) -> list[tuple[object, ...]]:
    """Everything the migrations made: columns, indexes, constraints, functions and grants."""

    async def read(connection: Any) -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = []
        for query in (
            "SELECT table_schema, table_name, column_name, data_type, is_nullable, column_default "
            "FROM information_schema.columns WHERE table_schema IN ('users', 'auth', 'blog')",
            "SELECT schemaname, tablename, indexname, indexdef FROM pg_indexes "
            "WHERE schemaname IN ('users', 'auth', 'blog')",
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE connamespace::regnamespace::text IN ('users', 'auth', 'blog')",
            "SELECT routine_schema, routine_name FROM information_schema.routines WHERE routine_schema = 'blog'",
            "SELECT grantee, table_schema, table_name, privilege_type FROM information_schema.table_privileges "
            "WHERE grantee LIKE '%\\_service'",
            "SELECT nspname, pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname IN ('users', 'auth', 'blog')",
        ):
            rows += [tuple(row.values()) for row in await connection.fetch(query)]
        return sorted(rows, key=str)

    result: list[tuple[object, ...]] = postgres.administer(read, database)
    return result


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[str]:
    """A database that nothing has touched."""
    yield postgres.clone("empty", "template0")

    async def drop(connection: Any) -> None:
        await connection.execute("DROP DATABASE empty WITH (FORCE)")

    postgres.administer(drop, "postgres")


def test_down_and_up_again_is_the_same(postgres: Postgres, empty: str) -> None:
    postgres.migrate(database=empty)
    first = schema(postgres, empty)
    assert first
    postgres.migrate("downgrade", "0001", database=empty)
    middle = schema(postgres, empty)
    assert middle != first
    postgres.migrate("downgrade", "base", database=empty)
    assert schema(postgres, empty) == []
    postgres.migrate("upgrade", "0001", database=empty)
    assert schema(postgres, empty) == middle
    postgres.migrate(database=empty)
    assert schema(postgres, empty) == first


def test_it_owns_its_schemas_and_touches_nothing_else(postgres: Postgres, empty: str) -> None:
    postgres.migrate(database=empty)

    async def read(connection: Any) -> set[tuple[str, str]]:
        rows = await connection.fetch(
            "SELECT nspname, pg_get_userbyid(nspowner) FROM pg_namespace "
            "WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
        )
        public = await connection.fetchval("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        assert public == 0
        return {(row[0], row[1]) for row in rows}

    owners = postgres.administer(read, empty)
    assert owners - {("public", "pg_database_owner")} == {
        (name, "migrator") for name in ("users", "auth", "blog", "migrations")
    }


def test_upgrading_twice_changes_nothing(postgres: Postgres, database: str) -> None:
    before = schema(postgres, database)
    postgres.migrate(database=database)
    assert schema(postgres, database) == before
    assert "(head)" in postgres.migrate("current", database=database)


def test_a_rollback_is_not_held_up_by_a_newer_schema(postgres: Postgres, empty: str) -> None:
    postgres.migrate(database=empty)
    before = schema(postgres, empty)

    async def advance(connection: Any) -> None:
        await connection.execute("UPDATE migrations.alembic_version SET version_num = '9999'")

    postgres.administer(advance, empty)
    assert "at revision 9999, which this version does not know" in postgres.migrate(database=empty)
    assert schema(postgres, empty) == before
    with pytest.raises(RuntimeError, match="9999"):
        postgres.migrate("downgrade", "0001", database=empty)


def test_runs_at_the_same_time_take_turns(postgres: Postgres, empty: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        for run in [pool.submit(postgres.migrate, database=empty) for _ in range(3)]:
            run.result()
    assert schema(postgres, empty) == schema(postgres, "titanium")


@pytest.mark.parametrize("role", SERVICE_ROLES)
def test_each_service_reaches_its_own_schema_only(postgres: Postgres, database: str, role: str) -> None:
    own = {"user_service": "users.accounts", "auth_service": "auth.families", "blog_service": "blog.posts"}

    async def read(_: Any) -> None:
        connection = await asyncpg.connect(
            host=postgres.host, port=postgres.port, user=role, password=postgres.password(role), database=database
        )
        try:
            for other, table in own.items():
                if other == role:
                    assert await connection.fetchval(f"SELECT count(*) FROM {table}") >= 0  # noqa: S608
                    continue
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608
            for statement in (
                f"CREATE TABLE {own[role].split('.')[0]}.x (a int)",
                "CREATE TABLE public.x (a int)",
                "CREATE SCHEMA x",
                f"DROP TABLE {own[role]}",
                f"TRUNCATE {own[role]}",
                "UPDATE migrations.alembic_version SET version_num = 'x'",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
        finally:
            await connection.close()

    postgres.administer(read, database)


def test_a_statement_does_not_wait_long_for_a_lock(postgres: Postgres, empty: str) -> None:
    """It gives up and undoes itself, rather than hold up every query that queues behind it."""
    postgres.migrate("upgrade", "0001", database=empty)
    locked, release = threading.Event(), threading.Event()

    async def hold(connection: Any) -> None:
        async with connection.transaction():
            await connection.execute("LOCK TABLE users.accounts IN ACCESS SHARE MODE")
            locked.set()
            await asyncio.to_thread(release.wait, 30)

    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(postgres.administer, hold, empty)
        locked.wait(10)
        try:
            result = run(
                "downgrade", "base", environment=postgres.environment("migrator", empty), MIGRATION_LOCK_TIMEOUT="0.3"
            )
        finally:
            release.set()
        holder.result()
    assert result.returncode == 1
    assert "lock timeout" in result.stderr
    assert "Traceback" not in result.stderr
    assert "0001" in postgres.migrate("current", database=empty)


def run(*arguments: str, environment: dict[str, str], **more: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m migrations` as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "migrations", *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "services"), **environment, **more},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_sql_mode_needs_no_database(postgres: Postgres, empty: str) -> None:
    result = run("upgrade", "head", "--sql", environment={})
    assert result.returncode == 0, result.stderr

    async def execute(connection: Any) -> None:
        await connection.execute(result.stdout)

    postgres.administer(execute, empty)
    ours = [row for row in schema(postgres, "titanium") if row[-1] != "migrator"]
    assert [row for row in schema(postgres, empty) if row[-1] != "postgres"] == ours


def test_a_wrong_password_says_what_to_check(postgres: Postgres) -> None:
    result = run("upgrade", "head", environment=postgres.environment("migrator"), DATABASE_PASSWORD="wrong")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "Check DATABASE_USER, DATABASE_PASSWORD" in result.stderr
    assert "wrong" not in result.stderr


def test_a_database_that_is_away_is_waited_for(postgres: Postgres) -> None:
    result = run(
        "upgrade",
        "head",
        environment=postgres.environment("migrator"),
        DATABASE_PORT=str(free_port()),
        MIGRATION_WAIT="1.5",
    )
    assert result.returncode == 1
    assert "waiting up to 2 s" in result.stderr
    assert "cannot be reached" in result.stderr
    assert "Traceback" not in result.stderr


def test_missing_login_roles_are_named(state_folder: Any) -> None:
    server = Postgres(state_folder / "no-roles", durable=False)
    server.start()
    try:

        async def create(connection: Any) -> None:
            await connection.execute(f"CREATE ROLE migrator LOGIN PASSWORD '{server.password('migrator')}'")
            await connection.execute("CREATE ROLE user_service LOGIN")
            await connection.execute("CREATE DATABASE titanium OWNER migrator")

        server.administer(create, "postgres")
        result = run("upgrade", "head", environment=server.environment("migrator"))
        assert result.returncode == 1
        assert "login roles are missing: auth_service, blog_service" in result.stderr
        assert "Traceback" not in result.stderr
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("variable", "value"), [("DATABASE_PORT", "x"), ("DATABASE_PORT", "70000"), ("LOG_LEVEL", "loud")]
)
def test_a_wrong_variable_is_named(variable: str, value: str) -> None:
    result = run("upgrade", "head", environment={}, **{variable: value})
    assert result.returncode == 2
    assert result.stderr.startswith(f"environment variable {variable}: ")
    assert "Traceback" not in result.stderr


def test_no_command_says_how() -> None:
    result = run(environment={})
    assert "upgrade" in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
