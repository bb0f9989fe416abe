"""A PostgreSQL server of our own, with the platform's login roles and databases."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from tests.harness.binaries import find_postgres
from tests.harness.processes import Process, free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROOT = Path(__file__).resolve().parents[2]
SERVICE_ROLES = ("user_service", "auth_service", "blog_service")


def unprivileged_user() -> int | None:
    """The user PostgreSQL runs as, which refuses root; None if we are somebody else already."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL refuses to run as root, and there is no user 'nobody' to run it as")


class Postgres:
    """A server in a folder. `start`, then `create_roles` and `migrate` once, then `clone` as often as needed."""

    def __init__(self, folder: Path, *, port: int = 0, durable: bool = True) -> None:
        """Describe a server.

        Args:
            folder: where its data and log are; made if need be.
            port: TCP port on 127.0.0.1; 0 for a free one.
            durable: whether it survives a crash of the machine; tests are faster without.
        """
        self.folder = folder
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self._durable = durable
        self._binaries = find_postgres()
        self._data = folder / "data"
        self._user = unprivileged_user()
        self._secrets = folder / "passwords"
        self._process: Process | None = None

    def password(self, role: str) -> str:
        """The generated password of a login role."""
        for line in self._secrets.read_text().splitlines():
            name, _, value = line.partition(":")
            if name == role:
                return value
        raise KeyError(role)

    def _initialise(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        wanted = self._major()
        version = self._data / "PG_VERSION"
        if version.exists() and version.read_text().strip() != wanted:
            raise RuntimeError(
                f"{self._data} was made by PostgreSQL {version.read_text().strip()}, but {wanted} is installed. "
                "Start anew with --fresh."
            )
        if version.exists() and self._secrets.exists():
            return
        shutil.rmtree(self._data, ignore_errors=True)
        roles = ("postgres", "migrator", *SERVICE_ROLES)
        self._secrets.touch(mode=0o600)
        self._secrets.write_text("".join(f"{role}:{secrets.token_urlsafe(24)}\n" for role in roles))
        self._data.mkdir(mode=0o700)
        password_file = self.folder / "initdb-password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password("postgres"))
        if self._user is not None:
            os.chown(self._data, self._user, self._user)
            os.chown(password_file, self._user, self._user)
            self.folder.chmod(0o711)
        try:
            subprocess.run(
                [
                    *(str(self._binaries / "initdb"), "--pgdata", str(self._data), "--username", "postgres"),
                    *("--pwfile", str(password_file), "--auth", "scram-sha-256", "--encoding", "UTF8"),
                    *("--locale", "C.UTF-8", "--no-sync"),
                ],
                check=True,
                capture_output=True,
                text=True,
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user is not None else None,
                cwd="/",
            )
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"initdb failed:\n{error.stdout}{error.stderr}") from None
        finally:
            password_file.unlink()

    def _major(self) -> str:
        output = subprocess.run(
            [str(self._binaries / "postgres"), "--version"], check=True, capture_output=True, text=True
        ).stdout
        return output.split()[2].split(".")[0]

    def start(self) -> None:
        """Make the data folder if there is none, start the server, and return once it accepts logins."""
        self._initialise()
        settings = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "64MB",
            "log_min_messages": "warning",
            **({} if self._durable else {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}),
        }
        log = self.folder / "postgresql.log"
        self._process = Process(
            "PostgreSQL",
            [
                str(self._binaries / "postgres"),
                "-D",
                str(self._data),
                *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
            ],
            log,
            user=self._user,
            cwd=Path("/"),
        )
        self._process.start()
        self._process.wait_until(self._accepts, 30)

    def _accepts(self) -> bool:
        try:
            self.administer(lambda connection: connection.execute("SELECT 1"), "postgres")
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    def administer(self, action: Callable[[Any], Awaitable[Any]], database: str = "titanium") -> Any:
        """Run `action(connection)` as superuser and return its result. From a thread without an event loop."""

        async def run() -> Any:
            connection = await asyncpg.connect(
                host=self.host,
                port=self.port,
                user="postgres",
                password=self.password("postgres"),
                database=database,
                timeout=5,
            )
            try:
                return await action(connection)
            finally:
                await connection.close()

        return asyncio.run(run())

    def create_roles(self) -> None:
        """Make the login roles and the database `titanium`, unless they are there."""

        async def create(connection: Any) -> None:
            for role in ("migrator", *SERVICE_ROLES):
                if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
                    await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{self.password(role)}'")
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = 'titanium'"):
                await connection.execute("CREATE DATABASE titanium OWNER migrator TEMPLATE template0 ENCODING 'UTF8'")

        self.administer(create, "postgres")

    def environment(self, role: str, database: str = "titanium") -> dict[str, str]:
        """The `DATABASE_*` variables of a service or a migration."""
        return {
            "DATABASE_HOST": self.host,
            "DATABASE_PORT": str(self.port),
            "DATABASE_NAME": database,
            "DATABASE_USER": role,
            "DATABASE_PASSWORD": self.password(role),
        }

    def migrate(self, *arguments: str, database: str = "titanium") -> str:
        """Run `python -m migrations` and return what it printed; `upgrade head` without arguments."""
        result = subprocess.run(
            [sys.executable, "-m", "migrations", *(arguments or ("upgrade", "head"))],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT / "services"),
                **self.environment("migrator", database),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if result.returncode != 0:
            raise RuntimeError(f"migrations {' '.join(arguments)} failed:\n{result.stdout}{result.stderr}")
        return result.stdout + result.stderr

    def clone(self, name: str, template: str = "titanium") -> str:
        """Make the database `name` a copy of `template`, anew if it is there, and return its name."""

        async def copy(connection: Any) -> None:
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            await connection.execute(f"CREATE DATABASE {name} OWNER migrator TEMPLATE {template}")

        self.administer(copy, "postgres")
        return name

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._process is not None
        self._process.kill()

    def stop(self) -> None:
        """Shut it down; open connections are cut."""
        if self._process is not None:
            self._process.stop(signal.SIGINT)
            self._process = None


class Elsewhere(Postgres):
    """A server that runs already, as others run it: a service container in CI. Nobody here can kill or stop it."""

    def __init__(self, address: str, superuser: str) -> None:
        """Describe it; `address` is HOST:PORT, `superuser` the password of the role postgres."""
        host, _, port = address.partition(":")
        self.host, self.port = host, int(port)
        self._superuser = superuser
        self._process = None

    def password(self, role: str) -> str:
        """The password of a login role; those of the services follow from the superuser's."""
        if role == "postgres":
            return self._superuser
        return hashlib.sha256(f"{self._superuser}:{role}".encode()).hexdigest()

    def start(self) -> None:
        """See that it accepts logins."""
        if not self._accepts():
            raise RuntimeError(f"PostgreSQL at {self.host}:{self.port} does not accept the login of postgres")
