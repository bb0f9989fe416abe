"""systemctl for a machine without systemd: units of /etc/systemd/system, started as processes of their own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

UNITS = Path("/etc/systemd/system")
WANTED = UNITS / "multi-user.target.wants"
STATE = Path("/run/systemctl")


def settings(unit: str) -> list[tuple[str, str]]:
    """Return the settings of a unit in their order; a name may be there several times."""
    lines = (UNITS / unit).read_text().splitlines()
    return [(key, value) for key, found, value in (line.partition("=") for line in lines if line[:1] != "#") if found]


def pid_of(unit: str) -> int | None:
    """Return the process of a unit that runs. It may end while it is looked at, which means that it does not run."""
    try:
        pid = int((STATE / unit).read_text())
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError, ValueError, IndexError):
        return None
    # One that ended and was not asked for its status yet is a zombie.
    return None if fields[0] in "ZX" else pid


def start(unit: str) -> None:
    """Start a unit, unless it runs."""
    if pid_of(unit) is not None:
        return
    STATE.mkdir(exist_ok=True)
    with Path(f"/var/log/{unit}.log").open("ab") as log:
        for key, value in settings(unit):
            if key == "ExecStartPre":
                try:
                    subprocess.run(shlex.split(value.removeprefix("-")), stdout=log, stderr=log, check=True)
                except (FileNotFoundError, subprocess.CalledProcessError) as error:
                    if not value.startswith("-"):
                        sys.exit(f"Job for {unit} failed: {error}")
        command = shlex.split(dict(settings(unit))["ExecStart"])
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, close_fds=True
        )
    (STATE / unit).write_text(str(process.pid))


def stop(unit: str) -> None:
    """Stop a unit's process; KillMode=process leaves what it started."""
    pid = pid_of(unit)
    if pid is None:
        return
    try:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 10
        while pid_of(unit) == pid:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
    except ProcessLookupError:
        pass  # It ended by itself.


def show(unit: str) -> None:
    """Print what Ansible looks at."""
    loaded = (UNITS / unit).exists()
    known = (STATE / unit).exists()
    active = "active" if pid_of(unit) else "failed" if known else "inactive"
    print(f"Id={unit}\nLoadState={'loaded' if loaded else 'not-found'}\nActiveState={active}")


def main(arguments: list[str]) -> int:
    """Run one command; return the exit status."""
    options = {argument for argument in arguments if argument.startswith("-")}
    verb, *units = [argument for argument in arguments if argument not in options]
    with (STATE.parent / "systemctl.calls").open("a") as calls:
        calls.write(json.dumps(arguments) + "\n")
    if verb in ("daemon-reload", "reset-failed"):
        return 0
    unit = units[0]
    if verb == "show":
        show(unit)
    elif verb == "is-enabled":
        enabled = (WANTED / unit).is_symlink()
        print("enabled" if enabled else "disabled")
        return 0 if enabled else 1
    elif verb == "enable":
        WANTED.mkdir(exist_ok=True)
        (WANTED / unit).symlink_to(UNITS / unit)
    elif verb == "disable":
        (WANTED / unit).unlink(missing_ok=True)
        if "--now" in options:
            stop(unit)
    elif verb == "start":
        start(unit)
    elif verb == "stop":
        stop(unit)
    elif verb == "restart":
        stop(unit)
        start(unit)
    else:
        print(f"Unknown command verb '{verb}'.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
