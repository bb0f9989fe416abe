"""Makes the provider double installable: a filesystem mirror and a Terraform configuration that knows nothing else."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.doubles.cloudstack.provider import warm
from tests.harness.processes import Process

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
SOCKET = "warm.sock"
#: Terraform must take any of these; the second stands for the release after 0.6.
VERSIONS = ("0.6.0", "0.7.0")


def environment() -> Path:
    """The virtual environment of the double, made at first use; later uses find it in the user's cache.

    Raises RuntimeError with the mend when it cannot be made.
    """
    requirements = ROOT / "requirements" / "terraform-double.txt"
    digest = hashlib.sha256(requirements.read_bytes() + (ROOT / "scripts" / "venv").read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "titanium" / "venv"
    target = cache / f"terraform-double-{digest}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "terraform-double.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / ".complete").exists():
            made = subprocess.run(["scripts/venv", sys.executable, str(target)], cwd=ROOT, check=False)
            if made.returncode != 0:
                raise RuntimeError(
                    "the environment of the Terraform provider double cannot be made; it needs a Python package "
                    f"registry once. Mend: scripts/venv python3 {target}"
                )
    return target


def build(folder: Path, versions: tuple[str, ...] = VERSIONS) -> Path:
    """Put a mirror into the folder. Returns the Terraform CLI configuration (TF_CLI_CONFIG_FILE) that uses it alone."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    script = warm.executable(environment() / "bin/python", ROOT, folder / SOCKET)
    for version in versions:
        target = folder / "mirror/registry.terraform.io/cloudstack/cloudstack" / version
        target = target / f"{platform.system().lower()}_{machine}"
        target.mkdir(parents=True)
        executable = target / f"terraform-provider-cloudstack_v{version}"
        executable.write_text(script)
        executable.chmod(0o755)
    config = folder / "terraform.rc"
    config.write_text(
        "disable_checkpoint = true\n"
        "provider_installation {\n"
        f'  filesystem_mirror {{\n    path = "{folder}/mirror"\n  }}\n'
        "}\n"
    )
    return config


@contextmanager
def warmed(folder: Path) -> Iterator[None]:
    """Have the providers of that mirror start quickly while the context lasts."""
    command = [str(environment() / "bin/python"), "-m", warm.__name__, str(folder / SOCKET)]
    process = Process("provider double", command, folder / "warm.log", cwd=ROOT)
    process.start()
    try:
        process.wait_until((folder / SOCKET).exists, 30)
        yield
    finally:
        process.kill()
