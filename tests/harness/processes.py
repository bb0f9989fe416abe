"""Child processes that end with us, and what they said when they do not come up."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _end_with_parent() -> None:
    # Even a harness that is killed leaves nothing behind.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Process:
    """A program that runs until `stop`, its output in a file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        user: int | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Describe a process.

        Args:
            name: for messages.
            command: program and arguments.
            log: file that its output is appended to.
            environment: variables, instead of ours.
            user: user id to run as, for root.
            cwd: folder to run in.
        """
        self.name = name
        self.command = list(command)
        self.log = log
        self.environment = environment
        self.user = user
        self.cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; of a process that was started."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, in a process group of its own so that Ctrl-C reaches us alone."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(self.environment) if self.environment is not None else None,
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user is not None else None,
                cwd=self.cwd,
                process_group=0,
                preexec_fn=_end_with_parent,
            )

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Return once `ready` says so.

        Raises:
            RuntimeError: it ended, or was not ready after `timeout` seconds; with the end of its log.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.running:
                raise RuntimeError(f"{self.name} ended while starting:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} was not ready after {timeout:.0f} s:\n{self.tail()}")
            time.sleep(0.02)

    def tail(self, lines: int = 20) -> str:
        """Return the end of its log."""
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def send(self, number: int) -> None:
        """Send it a signal."""
        if self.running:
            os.kill(self.pid, number)

    def wait(self, timeout: float) -> int:
        """Wait for its end and return its exit status."""
        assert self._process is not None
        return self._process.wait(timeout)

    def kill(self) -> None:
        """Kill it as a crash would."""
        if self._process is not None:
            self.send(signal.SIGKILL)
            self._process.wait(10)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 10.0) -> None:
        """End it with a signal, and by force after `timeout` seconds."""
        if self._process is None:
            return
        self.send(number)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None
