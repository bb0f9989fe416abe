"""What a push would change is shown before; what goes to the next environment is what ran in the one before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.ci.repository import ENVIRONMENT, commit, git, make, publish
from tests.unit.ci.test_digests import digest, images

FROM = "gitops/overlays/minikube/images/kustomization.yaml"
TO = "gitops/overlays/solid-cloud/images/kustomization.yaml"
KUBECTL = str(Path(sys.executable).parent / "kubectl")


def run(folder: Path, script: str, *arguments: str) -> tuple[int, str]:
    """Run one of the scripts in a clone."""
    process = subprocess.run(
        [folder / "scripts" / script, *arguments],
        cwd=folder,
        env={**ENVIRONMENT, "KUBECTL": KUBECTL, "PATH": f"{Path(sys.executable).parent}:{ENVIRONMENT['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    return process.returncode, process.stdout + process.stderr


def running(*names: str, letter: str = "a") -> str:
    """An overlay's images."""
    entries = "".join(
        f'  - name: {name}\n    newName: r.example/{name}\n    newTag: "{letter * 40}"\n    digest: {digest(letter)}\n'
        for name in names
    )
    return f"---\napiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nimages:\n{entries}"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of a remote with our overlays and scripts."""
    folder = make(tmp_path / "clone", "gitops", "scripts")
    publish(folder)
    return folder


def test_promotion_copies_what_runs_and_commits_nothing(clone: Path) -> None:
    head = commit(clone, {FROM: running("blog-service", "migrations")})
    status, said = run(clone, "gitops-promote", "minikube", "solid-cloud")
    assert status == 0, said
    assert f"blog-service: none -> {digest('a')}" in said
    assert git(clone, "rev-parse", "HEAD") == head
    assert git(clone, "status", "--porcelain") == f"M {TO}"
    commit(clone, {})
    assert images(clone, file=TO) == images(clone, file=FROM)
    status, said = run(clone, "gitops-promote", "minikube", "solid-cloud")
    assert (status, said) == (0, "solid-cloud runs the same as minikube already\n")


def test_promotion_of_one_service_keeps_the_others(clone: Path) -> None:
    commit(clone, {FROM: running("blog-service", "migrations", letter="b"), TO: running("migrations", "user-service")})
    assert run(clone, "gitops-promote", "minikube", "solid-cloud", "blog-service")[0] == 0
    commit(clone, {})
    assert {name: image["digest"] for name, image in images(clone, file=TO).items()} == {
        "blog-service": digest("b"),
        "migrations": digest("a"),
        "user-service": digest("a"),
    }


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("minikube", "solid-cloud", "user-service"), "minikube does not run user-service"),
        (("solid-cloud", "minikube"), "solid-cloud does not run anything by digest"),
        (("minikube", "minikube"), "the same"),
        (("minikube", "local"), "there is no"),
        (("nowhere", "minikube"), "is not in the last commit"),
    ],
)
def test_promotion_refuses_what_is_not_in_from(clone: Path, arguments: tuple[str, ...], why: str) -> None:
    commit(clone, {FROM: running("blog-service")})
    status, said = run(clone, "gitops-promote", *arguments)
    assert status == 1
    assert why in said
    assert git(clone, "status", "--porcelain") == ""


def test_promotion_refuses_what_was_never_committed(clone: Path) -> None:
    (clone / FROM).write_text(running("blog-service"))
    assert run(clone, "gitops-promote", "minikube", "solid-cloud")[0] == 1


def test_preview_of_nothing(clone: Path) -> None:
    commit(clone, {"services/x.py": "1\n"})
    assert run(clone, "gitops-preview", "minikube") == (0, "")


def test_preview_names_the_objects_and_fields(clone: Path) -> None:
    commit(clone, {FROM: running("blog-service")})
    status, said = run(clone, "gitops-preview", "minikube")
    assert status == 1, said
    assert "apps_v1_deployment_blog-service.yaml" in said
    assert "-        image: blog-service\n" in said
    assert f"+        image: r.example/blog-service:{'a' * 40}@{digest('a')}\n" in said
    changed = [line for line in said.splitlines() if line.startswith(("+", "-")) and line[1:3] not in ("++", "--")]
    assert len(changed) == 2, said
    # Another environment is not touched by it.
    assert run(clone, "gitops-preview", "solid-cloud") == (0, "")


def test_preview_of_what_is_not_committed_yet(clone: Path) -> None:
    environment = clone / "gitops/base/environment.yaml"
    environment.write_text(environment.read_text().replace("LOG_LEVEL: info", "LOG_LEVEL: debug"))
    status, said = run(clone, "gitops-preview", "minikube")
    assert status == 1
    assert "+  LOG_LEVEL: debug" in said
    assert run(clone, "gitops-preview", "minikube", "origin/main", "HEAD") == (0, "")


def test_preview_of_objects_that_come_and_go(clone: Path) -> None:
    file = "gitops/overlays/minikube/kustomization.yaml"
    old = git(clone, "rev-parse", "HEAD")
    new = commit(
        clone, {file: (clone / file).read_text().replace("  - images", "  - images\n  - ../../components/quota")}
    )
    status, said = run(clone, "gitops-preview", "minikube", old, new)
    assert status == 1
    assert "new file" in said
    assert "+kind: ResourceQuota" in said
    status, said = run(clone, "gitops-preview", "minikube", new, old)
    assert "deleted file" in said


@pytest.mark.parametrize("arguments", [("nowhere",), ("minikube", "no-such-branch"), ()])
def test_preview_that_cannot_tell(clone: Path, arguments: tuple[str, ...]) -> None:
    assert run(clone, "gitops-preview", *arguments)[0] == 2


def test_preview_of_what_does_not_render(clone: Path) -> None:
    commit(clone, {"gitops/overlays/minikube/kustomization.yaml": "resources: [nowhere.yaml]\n"})
    status, said = run(clone, "gitops-preview", "minikube")
    assert status == 2
    assert "nowhere.yaml" in said
