"""Manifests are validated against real schemas of several Kubernetes versions."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from .repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: x}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: x}}}
"""


def run(*arguments: str | Path) -> tuple[int, str]:
    """Run the script."""
    process = subprocess.run(
        [sys.executable, ROOT / "scripts/ci/manifests.py", *arguments], capture_output=True, text=True, check=False
    )
    return process.returncode, process.stdout + process.stderr


def kustomization(folder: Path, manifest: str) -> Path:
    """A kustomization of one manifest."""
    (folder / "kustomization.yaml").write_text("resources: [manifest.yaml]\n")
    (folder / "manifest.yaml").write_text(manifest)
    return folder


def test_ours_are_valid() -> None:
    status, said = run("--kubernetes", "1.33", "1.35", "1.37")
    assert status == 0, said
    for overlay in (ROOT / "gitops/overlays").iterdir():
        assert f"{overlay.name}: " in said


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        (GOOD.replace("maxUnavailable", "maxUnavailabel"), "'maxUnavailabel' was unexpected"),
        (GOOD.replace("selector: {", "selector: 1 # {"), "spec"),
        (GOOD.replace("policy/v1", "policy/v1beta1"), "has no PodDisruptionBudget in policy/v1beta1"),
        (GOOD.replace("policy/v1", "example.org/v1"), "has no PodDisruptionBudget in example.org/v1"),
        ("kind: Nothing\n", "does not render"),
    ],
)
def test_refused(manifest: str, why: str, tmp_path: Path) -> None:
    status, said = run("--kubernetes", "1.35", "--", kustomization(tmp_path, manifest))
    assert status == 1, said
    assert why in said


def test_versions_differ(tmp_path: Path) -> None:
    """What one version has and another has not is told apart: so these are real schemas of each."""
    manifest = GOOD.replace("policy/v1", "policy/v1beta1").replace("PodDisruptionBudget", "PodSecurityPolicy")
    new = "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {name: x}\n"
    assert "has no PodSecurityPolicy" in run("--kubernetes", "1.25", "--", kustomization(tmp_path, manifest))[1]
    assert run("--kubernetes", "1.29", "--", kustomization(tmp_path, new))[0] == 1
    assert run("--kubernetes", "1.30", "--", kustomization(tmp_path, new))[0] == 0
