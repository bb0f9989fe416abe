"""Digests in gitops/: bumped without losing anybody's push, promoted only where they were tried."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .repository import ENVIRONMENT, ROOT, commit, git, make, publish

FILE = "gitops/overlays/minikube/images/kustomization.yaml"
NAMES = ("api-gateway", "auth-service", "blog-service", "migrations", "user-service")


def digest(letter: str) -> str:
    """A digest."""
    return f"sha256:{letter * 64}"


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the script in a clone."""
    return subprocess.Popen(
        [sys.executable, ROOT / "scripts/ci/digests.py", *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the script in a clone; return how it ended and what it said."""
    process = start(folder, *arguments)
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout + stderr


def images(folder: Path, revision: str = "HEAD", file: str = FILE) -> dict[str, dict[str, str]]:
    """What a revision says, by name."""
    return {entry["name"]: entry for entry in yaml.safe_load(git(folder, "show", f"{revision}:{file}"))["images"]}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of a remote with our overlays."""
    folder = make(tmp_path / "clone", "gitops")
    publish(folder)
    return folder


def test_bump_commits_and_pushes_and_leaves_the_work_tree_alone(clone: Path) -> None:
    head = git(clone, "rev-parse", "HEAD")
    (clone / "gitops/README.md").write_text("half done\n")
    status, said = run(
        clone, "bump", "minikube", "--commit", head, f"blog-service=ghcr.io/o/r/blog-service@{digest('a')}"
    )
    assert status == 0, said
    git(clone, "fetch", "--quiet")
    assert images(clone, "origin/main")["blog-service"] == {
        "name": "blog-service",
        "newName": "ghcr.io/o/r/blog-service",
        "newTag": head,
        "digest": digest("a"),
    }
    assert git(clone, "diff", "--name-only", head, "origin/main") == FILE
    assert git(clone, "rev-parse", "HEAD") == head
    assert git(clone, "status", "--porcelain") == "M gitops/README.md"
    assert len(git(clone, "worktree", "list").splitlines()) == 1


def test_what_it_writes_is_what_runs(clone: Path) -> None:
    head = git(clone, "rev-parse", "HEAD")
    wanted = [f"{name}=ghcr.io/o/r/{name}@{digest('b')}" for name in NAMES]
    assert run(clone, "bump", "minikube", "--commit", head, *wanted)[0] == 0
    git(clone, "pull", "--quiet")
    kubectl = Path(sys.executable).parent / "kubectl"
    rendered = subprocess.run(
        [kubectl, "kustomize", clone / "gitops/overlays/minikube"], check=True, capture_output=True, text=True
    ).stdout
    for name in NAMES:
        assert f"image: ghcr.io/o/r/{name}:{head}@{digest('b')}\n" in rendered


def test_the_same_again_makes_no_commit(clone: Path) -> None:
    head = git(clone, "rev-parse", "HEAD")
    arguments = ("bump", "minikube", "--commit", head, f"migrations=ghcr.io/o/r/migrations@{digest('a')}")
    assert run(clone, *arguments)[0] == 0
    git(clone, "fetch", "--quiet")
    once = git(clone, "rev-parse", "origin/main")
    status, said = run(clone, *arguments)
    assert (status, "nothing to do" in said) == (0, True), said
    git(clone, "fetch", "--quiet")
    assert git(clone, "rev-parse", "origin/main") == once


def test_pushers_at_once_lose_nothing(clone: Path, tmp_path: Path) -> None:
    head = git(clone, "rev-parse", "HEAD")
    clones = [clone]
    for number in range(1, 4):
        clones.append(tmp_path / f"clone{number}")
        git(tmp_path, "clone", "--quiet", str(tmp_path / "clone.git"), str(clones[-1]))
    pushers = [
        start(folder, "bump", "minikube", "--commit", head, f"{name}=ghcr.io/o/r/{name}@{digest(letter)}")
        for folder, name, letter in zip(clones, NAMES, "abcd", strict=False)
    ]
    for pusher in pushers:
        assert pusher.wait(timeout=120) == 0, pusher.communicate()
        pusher.communicate()
    git(clone, "fetch", "--quiet")
    assert {name: image["digest"] for name, image in images(clone, "origin/main").items()} == dict(
        zip(NAMES, map(digest, "abcd"), strict=False)
    )
    assert git(clone, "rev-list", "--count", f"{head}..origin/main") == "4"


def test_somebody_else_pushing_in_between_loses_nothing(clone: Path, tmp_path: Path) -> None:
    """The race made certain: the remote takes another commit just before the first push arrives."""
    head = git(clone, "rev-parse", "HEAD")
    other = tmp_path / "other"
    git(tmp_path, "clone", "--quiet", str(tmp_path / "clone.git"), str(other))
    theirs = commit(other, {"gitops/theirs.txt": "theirs\n"})
    hook = clone / ".git/hooks/pre-push"
    hook.write_text(
        f"#!/bin/sh\n[ -e {tmp_path}/done ] || {{ touch {tmp_path}/done; unset GIT_DIR; git -C {other} push -q; }}\n"
    )
    hook.chmod(0o755)
    status, said = run(clone, "bump", "minikube", "--commit", head, f"migrations=r.example/m@{digest('a')}")
    assert status == 0, said
    assert (tmp_path / "done").exists()
    git(clone, "fetch", "--quiet")
    assert git(clone, "rev-parse", "origin/main^") == theirs
    assert images(clone, "origin/main")["migrations"]["digest"] == digest("a")


def test_an_older_build_that_comes_late_is_left_out(clone: Path) -> None:
    old = git(clone, "rev-parse", "HEAD")
    new = commit(clone, {"services/x.py": "1\n"})
    git(clone, "push", "--quiet")
    assert run(clone, "bump", "minikube", "--commit", new, f"migrations=r.example/m@{digest('b')}")[0] == 0
    status, said = run(clone, "bump", "minikube", "--commit", old, f"migrations=r.example/m@{digest('a')}")
    assert (status, "nothing to do" in said) == (0, True), said
    git(clone, "fetch", "--quiet")
    assert images(clone, "origin/main")["migrations"]["digest"] == digest("b")


def test_a_remote_that_refuses_is_no_race(clone: Path, tmp_path: Path) -> None:
    hook = tmp_path / "clone.git/hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho this branch is protected >&2\nexit 1\n")
    hook.chmod(0o755)
    head = git(clone, "rev-parse", "HEAD")
    status, said = run(clone, "bump", "minikube", "--commit", head, f"migrations=r.example/m@{digest('a')}")
    assert status == 1
    assert "this branch is protected" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("bump", "minikube", "--commit", "main", f"migrations=r.example/m@{digest('a')}"),
        ("bump", "minikube", "--commit", "a" * 40, "migrations=r.example/m:latest"),
        ("bump", "minikube", "--commit", "a" * 40, f"payments=r.example/m@{digest('a')}"),
        ("bump", "nowhere", "--commit", "a" * 40, f"migrations=r.example/m@{digest('a')}"),
        ("bump", "../..", "--commit", "a" * 40, f"migrations=r.example/m@{digest('a')}"),
    ],
)
def test_nonsense_is_refused(clone: Path, arguments: tuple[str, ...]) -> None:
    status, said = run(clone, *arguments)
    assert status == 1, said
    assert said.startswith("digests: ")
    assert len(git(clone, "worktree", "list").splitlines()) == 1
