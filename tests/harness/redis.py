"""A Redis server of our own."""

from __future__ import annotations

import secrets
import socket
from typing import TYPE_CHECKING

from tests.harness.binaries import find_redis
from tests.harness.processes import Process, free_port

if TYPE_CHECKING:
    from pathlib import Path


class Redis:
    """A server in a folder that keeps nothing on disk."""

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        """Describe a server; `port` 0 is a free one of 127.0.0.1."""
        self.folder = folder
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self.password = secrets.token_urlsafe(24)
        self._process: Process | None = None

    def start(self) -> None:
        """Start it and return once it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # A file, because arguments can be read in the process list.
        config = self.folder / "redis.conf"
        config.touch(mode=0o600)
        config.write_text(
            f"bind {self.host}\nport {self.port}\nrequirepass {self.password}\nsave ''\nappendonly no\n"
            f"maxmemory 64mb\nmaxmemory-policy allkeys-lru\ndir {self.folder}\n"
        )
        self._process = Process("Redis", [str(find_redis()), str(config)], self.folder / "redis.log")
        self._process.start()
        self._process.wait_until(self._listens, 10)

    def _listens(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def environment(self) -> dict[str, str]:
        """The `REDIS_*` variables of a service."""
        return {"REDIS_HOST": self.host, "REDIS_PORT": str(self.port), "REDIS_PASSWORD": self.password}

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._process is not None
        self._process.kill()

    def stop(self) -> None:
        """Shut it down."""
        if self._process is not None:
            self._process.stop()
            self._process = None


class Elsewhere(Redis):
    """A server that runs already and asks for no password: a service container in CI. From then on it asks for ours."""

    def __init__(self, address: str) -> None:
        """Describe it; `address` is HOST:PORT."""
        host, _, port = address.partition(":")
        self.host, self.port = host, int(port)
        self.password = secrets.token_urlsafe(24)
        self._process = None

    def start(self) -> None:
        """Have it ask for the password."""
        with socket.create_connection((self.host, self.port), timeout=10) as connection:
            connection.sendall(f"CONFIG SET requirepass {self.password}\r\n".encode())
            answer = connection.recv(1024)
        if answer != b"+OK\r\n":
            raise RuntimeError(f"Redis at {self.host}:{self.port} answered {answer!r}")
