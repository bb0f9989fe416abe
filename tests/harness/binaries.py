"""Finds the programs of PostgreSQL, Redis and Chromium."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MEND = "apt-get install postgresql redis-server"


class MissingProgramError(RuntimeError):
    """A program is not on this machine; the message says how to get it."""


def find_postgres() -> Path:
    """Return the folder with PostgreSQL's server programs: on the PATH, or the newest where Debian puts them.

    Raises:
        MissingProgramError: there are none.
    """
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    for folder in [*map(Path, os.environ["PATH"].split(os.pathsep)), *debian]:
        if all((folder / program).exists() for program in ("postgres", "initdb")):
            return (folder / "postgres").resolve().parent
    raise MissingProgramError(f"PostgreSQL's server is not installed. Mend: {MEND}")


def find_redis() -> Path:
    """Return Redis' server program.

    Raises:
        MissingProgramError: there is none.
    """
    found = shutil.which("redis-server")
    if found is None:
        raise MissingProgramError(f"redis-server is not installed. Mend: {MEND}")
    return Path(found)


def find_chromium() -> Path:
    """Return the browser's program, Debian's `chromium`.

    Raises:
        MissingProgramError: there is none.
    """
    found = shutil.which("chromium")
    if found is None:
        raise MissingProgramError("chromium is not installed. Mend: apt-get install chromium")
    return Path(found)
