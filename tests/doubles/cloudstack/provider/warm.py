"""Starts providers quickly: Terraform starts one several times a command, and each would import the same for a second.

A process that has imported all of it waits at a socket. The executable in the mirror hands over its environment and its files; what
answers Terraform is a fork, which ends with the executable. Without the process the executable does all of it itself.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: The executable; needs nothing but what Python itself has loaded. What ends it ends the connection, and with it the provider.
EXECUTABLE = """\
#!{python} -ISE
import json, os, socket, sys
connection = socket.socket(socket.AF_UNIX)
try:
    connection.connect({socket!r})
except OSError:
    os.execv({python!r}, [{python!r}, "-c", {alone!r}])
message = json.dumps([os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(connection, [len(message).to_bytes(8, "big")], [0, 1, 2])
connection.sendall(message)
status = connection.recv(1)
sys.exit(status[0] if status else 1)
"""
ALONE = """\
import sys
sys.path.insert(0, {root!r})
from tests.doubles.cloudstack.provider.plugin import main
main()
"""


def executable(python: Path, root: Path, path: Path) -> str:
    """The text of an executable that asks the process at that socket."""
    alone = ALONE.format(root=str(root))
    return EXECUTABLE.format(python=str(python), socket=str(path), alone=alone)


def _become_provider(connection: socket.socket) -> None:
    """Be what the executable at the other end would be."""
    head, files, _, _ = socket.recv_fds(connection, 8, 3)
    left = int.from_bytes(head, "big")
    parts = []
    while left:
        parts.append(connection.recv(left))
        if not parts[-1]:
            os._exit(1)
        left -= len(parts[-1])
    folder, environment = json.loads(b"".join(parts))
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)

    def end_with_executable() -> None:
        connection.recv(1)
        os._exit(1)

    threading.Thread(target=end_with_executable, daemon=True).start()
    from tests.doubles.cloudstack.provider.plugin import main

    main()
    connection.send(b"\0")
    os._exit(0)


def serve(path: str) -> None:
    """Start a provider for each executable that connects, until we are ended."""
    # Imported for the forks.
    from tests.doubles.cloudstack.provider import client, plugin  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                _become_provider(connection)
            except BaseException:  # noqa: BLE001  # nobody else is there to tell it
                traceback.print_exc()
            os._exit(1)
        connection.close()


if __name__ == "__main__":
    serve(sys.argv[1])
