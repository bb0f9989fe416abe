"""One PostgreSQL and one Redis for each worker, one migrated database to clone, and the services on top."""

from __future__ import annotations

import itertools
import os
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.harness import postgres as postgresql
from tests.harness import redis
from tests.harness.postgres import Postgres
from tests.harness.processes import free_port
from tests.harness.redis import Redis
from tests.integration.services.platform import Account, Platform, start_platform

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def state_folder() -> Iterator[Path]:
    """A folder that PostgreSQL, which runs as somebody else, can pass through; pytest keeps its own shut."""
    with tempfile.TemporaryDirectory(prefix="titanium-tests-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@pytest.fixture(scope="session")
def postgres(state_folder: Path) -> Iterator[Postgres]:
    """A PostgreSQL with the login roles and the migrated database `titanium`, which stays empty: clone it."""
    # A service container in CI (scripts/ci/services.sh).
    if address := os.environ.get("TITANIUM_TEST_POSTGRES"):
        server: Postgres = postgresql.Elsewhere(address, os.environ["TITANIUM_TEST_POSTGRES_PASSWORD"])
    else:
        server = Postgres(state_folder / "postgres", durable=False)
    server.start()
    server.create_roles()
    server.migrate()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def database(postgres: Postgres) -> str:
    """Name of this worker's migrated database."""
    return postgres.clone("worker")


@pytest.fixture(scope="session")
def redis_server(state_folder: Path) -> Iterator[Redis]:
    """A Redis."""
    address = os.environ.get("TITANIUM_TEST_REDIS")
    server = redis.Elsewhere(address) if address else Redis(state_folder / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
async def platform(
    postgres: Postgres, redis_server: Redis, database: str, state_folder: Path
) -> AsyncIterator[Platform]:
    """user-service, auth-service and api-gateway in this process, without rate limits."""
    async with AsyncExitStack() as stack:
        yield await start_platform(stack, postgres, redis_server, database, state_folder)


@pytest.fixture
async def edge(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    """A client at the edge, with a cookie jar of its own."""
    async with httpx.AsyncClient(base_url=platform.edge, timeout=20) as client:
        yield client


@pytest.fixture
async def auth(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    """A client of auth-service, from inside."""
    async with httpx.AsyncClient(base_url=platform.auth, timeout=20) as client:
        yield client


@pytest.fixture
async def user(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    """A client of user-service, from inside."""
    async with httpx.AsyncClient(base_url=platform.user, timeout=20) as client:
        yield client


@pytest.fixture
def fresh() -> Account:
    """An account that nobody has made yet."""
    number = next(_numbers)
    return Account(f"user{number}", f"user{number}@example.org", f"password {number}")


@pytest.fixture
async def account(user: httpx.AsyncClient, fresh: Account) -> Account:
    """An account."""
    response = await user.post("/users", json=fresh.registration)
    assert response.status_code == 201, response.text
    fresh.id = response.json()["id"]
    return fresh


@pytest.fixture
async def other(user: httpx.AsyncClient) -> Account:
    """Somebody else's account."""
    number = next(_numbers)
    somebody = Account(f"other{number}", f"other{number}@example.org", f"password {number}")
    response = await user.post("/users", json=somebody.registration)
    assert response.status_code == 201, response.text
    somebody.id = response.json()["id"]
    return somebody


@pytest.fixture
def port() -> int:
    """A free port."""
    return free_port()
