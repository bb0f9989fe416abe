"""End-to-end tests run against the local platform, brought up by `make up` and seen only from outside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KUBECONFIG = Path("/var/lib/titanium/kubeconfig")
EDGE = "http://127.0.0.1:31304"


@dataclass(frozen=True)
class Run:
    """A finished `ansible-playbook`: what it printed, and its play recap added up over all hosts."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    def recap(self, what: str) -> int:
        """How many tasks ended as `what` (`ok`, `changed`, `failed`, ...)."""
        return sum(int(n) for n in re.findall(rf"\b{what}=(\d+)", self.stdout))


def playbook(*arguments: str, environment: dict[str, str] | None = None, cwd: Path = ROOT) -> Run:
    """Run `ansible-playbook` as the README tells users to, on the local inventory."""
    process = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "inventories/local", *arguments],
        cwd=cwd,
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "0", **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    return Run(process.returncode, process.stdout, process.stderr)


def kubectl(*arguments: str, check: bool = True, stdin: str | None = None) -> str:
    """Run the pinned kubectl as the cluster's administrator, with `stdin` as its input, and return what it printed."""
    process = subprocess.run(
        [str(Path(sys.executable).parent / "kubectl"), "--kubeconfig", str(KUBECONFIG), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if check and process.returncode != 0:
        raise AssertionError(f"kubectl {' '.join(arguments)}: {process.stderr}")
    return process.stdout


@pytest.fixture(scope="session", autouse=True)
def platform() -> None:
    """Fail early, with the mend, where no platform runs."""
    assert KUBECONFIG.exists(), "no local platform: run `make up` first"
    assert kubectl("get", "--raw", "/readyz") == "ok"
