"""A blog in this process, on a database of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness.inprocess import running
from tests.integration.services.blog.blog import Blog, Issuer, Replica, User

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.harness.postgres import Postgres
    from tests.harness.redis import Redis


@pytest.fixture(scope="session")
async def issuer() -> AsyncIterator[Issuer]:
    """Signs tokens."""
    result = Issuer()
    async with running(result.app, result.port):
        yield result


@pytest.fixture(scope="session")
def redis_address(redis_server: Redis) -> tuple[str, int, str]:
    """Host, port and password of the shared Redis."""
    return redis_server.host, redis_server.port, redis_server.password


@pytest.fixture(scope="session")
def blog(postgres: Postgres, issuer: Issuer) -> Blog:
    """The blog on a database that its tests share."""
    return Blog(postgres, postgres.clone("blog_worker"), issuer)


@pytest.fixture(scope="session")
async def replica(blog: Blog, redis_address: tuple[str, int, str]) -> AsyncIterator[Replica]:
    """A running blog-service."""
    async with blog.replica(redis_address) as running_replica:
        yield running_replica


@pytest.fixture
def client(replica: Replica) -> httpx.AsyncClient:
    """A client of it."""
    return replica.client


@pytest.fixture
def mina(issuer: Issuer) -> User:
    """A user."""
    return issuer.user()


@pytest.fixture
def jun(issuer: Issuer) -> User:
    """Another user."""
    return issuer.user()


@pytest.fixture
def new_blog(postgres: Postgres, issuer: Issuer) -> Blog:
    """A blog on a database that is empty but for the seeded categories."""
    return Blog(postgres, postgres.clone("blog_new"), issuer)
