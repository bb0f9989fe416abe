"""The scripts around scan, signature and release. Docker, Trivy and cosign are doubles that write down how they were called."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from .repository import ENVIRONMENT, ROOT, git, make, publish
from .test_digests import NAMES, digest, images

if TYPE_CHECKING:
    from pathlib import Path


class Tools:
    """Programs that are not the real ones, on a PATH."""

    def __init__(self, folder: Path) -> None:
        """Make the folder."""
        self.folder = folder
        self.log = folder / "log"
        folder.mkdir()

    def add(self, name: str, body: str) -> None:
        """Add a program."""
        program = self.folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.log}\n{body}\n')
        program.chmod(0o755)

    def run(self, *command: str | Path, cwd: Path = ROOT, variables: dict[str, str] | None = None) -> tuple[int, str]:
        """Run something that finds them."""
        environment = {**ENVIRONMENT, "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}", **(variables or {})}
        process = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
        return process.returncode, process.stdout + process.stderr

    def calls(self) -> list[str]:
        """How they were called."""
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    """A folder for programs."""
    return Tools(tmp_path / "bin")


@pytest.mark.parametrize("found", [0, 1])
def test_scan_fails_as_trivy_does(tools: Tools, found: int) -> None:
    tools.add("trivy", f"exit {found}")
    assert tools.run("scripts/ci/scan.sh", "image")[0] == found
    [call] = tools.calls()
    for option in ("--severity HIGH,CRITICAL", "--exit-code 1", "--ignorefile .trivyignore.yaml"):
        assert option in call
    assert call.endswith(" image")


def test_scan_does_not_start_with_a_bad_ignore_file(tools: Tools, tmp_path: Path) -> None:
    tools.add("trivy", "exit 0")
    folder = make(tmp_path / "clone", "scripts")
    (folder / ".trivyignore.yaml").write_text("vulnerabilities: [{id: CVE-2030-0001}]\n")
    status, said = tools.run(folder / "scripts/ci/scan.sh", "image", cwd=folder)
    assert status == 1
    assert "expired_at" in said
    assert tools.calls() == []


def test_only_what_is_named_by_digest_is_signed(tools: Tools) -> None:
    tools.add("cosign", "exit 0")
    assert tools.run("scripts/ci/sign.sh", variables={"IMAGE": "ghcr.io/o/r/x:latest"})[0] == 1
    assert tools.calls() == []
    assert tools.run("scripts/ci/sign.sh", variables={"IMAGE": f"ghcr.io/o/r/x@{digest('a')}"})[0] == 0
    assert tools.calls() == [f"cosign sign --yes --recursive ghcr.io/o/r/x@{digest('a')}"]


def test_image_name(tools: Tools, tmp_path: Path) -> None:
    output = tmp_path / "output"
    variables = {"GITHUB_REPOSITORY": "Some-Body/Titanium", "SERVICE": "blog_service", "GITHUB_OUTPUT": str(output)}
    assert tools.run("scripts/ci/image-name.sh", variables=variables)[0] == 0
    assert output.read_text() == "name=ghcr.io/some-body/titanium/blog-service\n"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of a remote with our overlays and scripts."""
    folder = make(tmp_path / "clone", "gitops", "scripts")
    publish(folder)
    return folder


def test_release_verifies_every_signature_and_bumps_all(tools: Tools, clone: Path) -> None:
    tools.add("docker", f"echo {digest('c')}")
    tools.add("cosign", "exit 0")
    head = git(clone, "rev-parse", "HEAD")
    variables = {"GITHUB_REPOSITORY": "Some-Body/Titanium", "GITHUB_SHA": head}
    status, said = tools.run(clone / "scripts/ci/release.sh", "minikube", cwd=clone, variables=variables)
    assert status == 0, said
    git(clone, "fetch", "--quiet")
    pushed = images(clone, "origin/main")
    assert set(pushed) == set(NAMES)
    assert {image["digest"] for image in pushed.values()} == {digest("c")}
    assert git(clone, "rev-list", "--count", f"{head}..origin/main") == "1"
    verified = [call for call in tools.calls() if call.startswith("cosign verify ")]
    assert len(verified) == len(NAMES)
    for call in verified:
        assert f"@{digest('c')} " in call
        assert "Some-Body/Titanium/.github/workflows/images.yml@refs/heads/main" in call
        assert f"--certificate-github-workflow-sha {head}" in call


def test_one_missing_signature_releases_nothing(tools: Tools, clone: Path) -> None:
    tools.add("docker", f"echo {digest('c')}")
    tools.add("cosign", 'case "$*" in *migrations*) exit 1 ;; esac')
    head = git(clone, "rev-parse", "HEAD")
    variables = {"GITHUB_REPOSITORY": "o/r", "GITHUB_SHA": head}
    assert tools.run(clone / "scripts/ci/release.sh", "minikube", cwd=clone, variables=variables)[0] != 0
    git(clone, "fetch", "--quiet")
    assert git(clone, "rev-parse", "origin/main") == head
