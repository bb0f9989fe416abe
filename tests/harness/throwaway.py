"""The whole platform for a while: PostgreSQL, Redis and the four services, gone without a trace afterwards."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness.postgres import Postgres
from tests.harness.redis import Redis
from tests.harness.services import Services

if TYPE_CHECKING:
    from collections.abc import Iterator

# Many accounts are made from one address within seconds, and none of their passwords is worth guarding.
UNLIMITED = {
    "RATE_LIMIT_LOGIN": "",
    "RATE_LIMIT_ACCOUNT": "",
    "RATE_LIMIT_REGISTER": "",
    "RATE_LIMIT_WRITE": "",
    "RATE_LIMIT_PREVIEW": "",
    "ARGON2_MEMORY": "8192",
    "ARGON2_TIME": "1",
}


@contextmanager
def throwaway_platform() -> Iterator[Services]:
    """The four services on free ports, without rate limits, on a database of their own, while the block runs.

    Raises:
        MissingProgramError: PostgreSQL or Redis is not installed; the message says how to mend it.
        RuntimeError: something did not start; with the end of its log.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="titanium-tests-")))
        # PostgreSQL runs as somebody else where root starts it, and has to pass through.
        folder.chmod(0o711)
        postgres = Postgres(folder / "postgres", durable=False)
        redis = Redis(folder / "redis")
        stack.callback(postgres.stop)
        postgres.start()
        stack.callback(redis.stop)
        redis.start()
        postgres.create_roles()
        postgres.migrate()
        services = Services(folder / "services", postgres, redis, extra=UNLIMITED)
        stack.callback(services.stop)
        services.start()
        yield services
