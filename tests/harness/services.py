"""The platform's services as processes, wired to each other and to a PostgreSQL and a Redis."""

from __future__ import annotations

import http.client
import os
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.harness.processes import Process, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.harness.postgres import Postgres
    from tests.harness.redis import Redis

ROOT = Path(__file__).resolve().parents[2]
DATABASE_ROLES = {"user_service": "user_service", "auth_service": "auth_service", "blog_service": "blog_service"}
SERVICES = ("user_service", "auth_service", "blog_service", "api_gateway")


def write_signing_key(folder: Path, name: str = "current.pem") -> Path:
    """Make an Ed25519 key in `folder`, unless there is one, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def answers(host: str, port: int, path: str = "/health") -> bool:
    """Whether a GET of `path` gives 200."""
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@dataclass
class Services:
    """The four services on free ports of 127.0.0.1. Ports stay the same over a restart."""

    folder: Path
    postgres: Postgres
    redis: Redis | None
    database: str = "titanium"
    extra: Mapping[str, str] = field(default_factory=dict)
    """Variables that all services get."""
    names: tuple[str, ...] = SERVICES
    edge_port: int = 0
    """Port of the gateway's edge; 0 for a free one."""
    ports: dict[str, int] = field(init=False)
    processes: dict[str, Process] = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ports = {name: free_port() for name in SERVICES}
        self.edge_port = self.edge_port or free_port()
        write_signing_key(self.folder / "jwt")
        self.processes = {name: self._process(name) for name in self.names}

    @property
    def edge(self) -> str:
        """Base URL of the edge: what a reader's browser talks to."""
        return f"http://127.0.0.1:{self.edge_port}"

    def url(self, name: str) -> str:
        """Base URL of a service as seen from inside."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def environment(self, name: str) -> dict[str, str]:
        """All variables of a service."""
        database = self.postgres.environment(DATABASE_ROLES[name], self.database) if name in DATABASE_ROLES else {}
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "services"),
            "PYTHONUNBUFFERED": "1",
            "HOST": "127.0.0.1",
            "PORT": str(self.ports[name]),
            "EDGE_PORT": str(self.edge_port),
            **database,
            **(self.redis.environment() if self.redis else {}),
            "AUTH_SERVICE_URL": self.url("auth_service"),
            "USER_SERVICE_URL": self.url("user_service"),
            "BLOG_SERVICE_URL": self.url("blog_service"),
            "JWT_KEY_DIR": str(self.folder / "jwt"),
            "SHUTDOWN_DELAY": "0",
            "SHUTDOWN_TIMEOUT": "5",
            **self.extra,
        }

    def _process(self, name: str) -> Process:
        return Process(
            name.replace("_", "-"),
            [sys.executable, "-m", name],
            self.folder / f"{name}.log",
            environment=self.environment(name),
            cwd=ROOT,
        )

    def start(self, *names: str, timeout: float = 30.0) -> None:
        """Start services, all of them unless named, and return once they are ready.

        Raises:
            RuntimeError: one ended or was not ready in time; with the end of its log.
        """
        chosen = names or self.names
        for name in chosen:
            self.processes[name].start()
        for name in chosen:
            self.processes[name].wait_until(partial(answers, "127.0.0.1", self.ports[name], "/ready"), timeout)

    def stop(self, *names: str) -> None:
        """Stop services, all of them unless named, the gateway first."""
        for name in reversed(names or self.names):
            self.processes[name].stop()
