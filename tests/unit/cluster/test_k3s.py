"""What needs no hosts: the pinned release, and the systemctl that the tests of the role k3s stand on."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from tests.doubles.k3s import systemctl

ROOT = Path(__file__).resolve().parents[3]
RELEASE = yaml.safe_load((ROOT / "lock.yml").read_text())["downloads"]["k3s"]


@pytest.mark.parametrize(("architecture", "file"), [("amd64", "k3s"), ("arm64", "k3s-arm64")])
def test_the_lock_file_names_the_file_that_the_role_downloads(architecture: str, file: str) -> None:
    # A bundle is collected by these URLs, while the role puts its own together from base and version.
    base = "https://github.com/k3s-io/k3s/releases/download"
    assert RELEASE[architecture]["url"] == f"{base}/{quote(RELEASE['version'], safe='')}/{file}"
    assert re.fullmatch("[0-9a-f]{64}", RELEASE[architecture]["sha256"])


def test_a_unit_runs_as_long_as_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemctl, "STATE", tmp_path)
    assert systemctl.pid_of("k3s.service") is None
    process = subprocess.Popen(["sleep", "60"])
    (tmp_path / "k3s.service").write_text(str(process.pid))
    assert systemctl.pid_of("k3s.service") == process.pid
    process.kill()
    deadline = time.monotonic() + 10
    # Not waited for yet: a zombie, which does not run.
    while systemctl.pid_of("k3s.service") is not None:
        assert time.monotonic() < deadline
    process.wait()
    assert systemctl.pid_of("k3s.service") is None


def test_a_process_that_ends_while_it_is_looked_at_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemctl, "STATE", tmp_path)
    (tmp_path / "k3s.service").write_text("1")

    def ended(path: Path) -> str:
        if path.parts[1] == "proc":
            raise ProcessLookupError(3, "No such process")
        return "1"

    monkeypatch.setattr(Path, "read_text", ended)
    assert systemctl.pid_of("k3s.service") is None
