"""The database's wrapper where there is no database; with one it is tested with the services."""

from __future__ import annotations

import pytest

from tests.harness.processes import free_port
from titanium_common.database import Database
from titanium_common.errors import DatabaseUnavailable
from titanium_common.metrics import Metrics
from titanium_common.settings import Settings


async def test_before_it_is_opened() -> None:
    database = Database(Settings(), Metrics("svc"))
    with pytest.raises(DatabaseUnavailable):
        await database.check()
    assert (database.size, database.idle) == (0, 0)
    await database.close()


async def test_away() -> None:
    metrics = Metrics("svc")
    database = Database(Settings(database_host="127.0.0.1", database_port=free_port()), metrics)
    await database.open()
    for call in (database.fetch, database.fetchrow, database.fetchval, database.execute):
        with pytest.raises(DatabaseUnavailable) as caught:
            await call("q", "SELECT 1")
        assert caught.value.headers == {"Retry-After": "1"}
    with pytest.raises(DatabaseUnavailable):
        async with database.transaction():
            raise AssertionError("unreachable")
    errors = metrics.registry.get_sample_value("database_errors_total", {"service": "svc"})
    assert errors is not None
    assert errors >= 5
    await database.close()
