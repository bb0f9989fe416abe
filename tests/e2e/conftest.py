"""End-to-end tests run against the local platform, brought up by `make up` and seen only from outside."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.gitops.status import application, pause, report, resume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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

    @property
    def words(self) -> str:
        """The output in one line: messages are broken at any word."""
        return " ".join(self.output.split())

    def recap(self, what: str) -> int:
        """How many tasks ended as `what` (`ok`, `changed`, `failed`, ...)."""
        return sum(int(n) for n in re.findall(rf"\b{what}=(\d+)", self.stdout))


@functools.cache
def layers() -> tuple[str, ...]:
    """What a run is told so that it neither adds GitOps, logs or traces nor takes them away; as they were when this was first asked."""
    wanted = {"gitops": kept_by_argocd(), "logs": monitoring_has("loki"), "traces": monitoring_has("jaeger")}
    return ("-e", json.dumps({f"titanium_{layer}": there for layer, there in wanted.items()}))


def playbook(*arguments: str, environment: dict[str, str] | None = None, cwd: Path = ROOT) -> Run:
    """Run `ansible-playbook` as the README tells users to, on the local inventory."""
    process = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "inventories/local", *layers(), *arguments],
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


def kept_by_argocd() -> bool:
    """Whether Argo CD keeps the application as git says, and takes back what is changed by hand."""
    return bool(kubectl("-n", "argocd", "get", "applications.argoproj.io", "blog", "-o", "name", check=False).strip())


def monitoring_has(name: str) -> bool:
    """Whether a StatefulSet of the monitoring is there."""
    return bool(kubectl("-n", "monitoring", "get", "statefulset", name, "-o", "name", check=False).strip())


def well(within: float = 90) -> None:
    """Wait until what runs is what git says, and works, where Argo CD has the application."""
    deadline = time.monotonic() + within
    while kept_by_argocd() and not (told := report(application()))[1]:
        assert time.monotonic() < deadline, told[0]
        time.sleep(0.5)


def taken_back(check: Callable[[], object], within: float = 60) -> None:
    """Wait until Argo CD has taken back what was changed by hand, and all is well."""
    deadline = time.monotonic() + within
    while not check():
        assert time.monotonic() < deadline, f"Argo CD did not take it back within {within} s"
        time.sleep(1)
    well()


@contextlib.contextmanager
def by_hand() -> Iterator[None]:
    """Change the application's objects by hand in here: Argo CD, where it has them, takes them back only afterwards."""
    if not kept_by_argocd():
        yield
        return
    pause("a test")
    try:
        yield
    finally:
        resume()
        well()


@pytest.fixture(scope="session", autouse=True)
def platform() -> None:
    """Fail early, with the mend, where no platform runs."""
    assert KUBECONFIG.exists(), "no local platform: run `make up` first"
    assert kubectl("get", "--raw", "/readyz") == "ok"
