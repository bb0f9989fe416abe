"""roles/git_server/files/publish.sh on a real repository: seeds, commits what differs, overwrites nobody."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "roles/git_server/files/publish.sh"


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody else."""
    person = {f"GIT_{who}_{what}": "someone" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    process = subprocess.run(
        ["git", "-C", folder, *arguments], env={**os.environ, **person}, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


class Place:
    """A bare repository, and what is to be published to it."""

    def __init__(self, folder: Path) -> None:
        self.bare, self.seed, self.files = folder / "bare.git", folder / "seed", folder / "files"
        self.folder = folder
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", self.bare], check=True)
        (self.seed / "gitops/base").mkdir(parents=True)
        (self.seed / "gitops/base/app.yaml").write_text("app: 1\n")
        (self.files / "gitops/deployed").mkdir(parents=True)
        self.images("a")

    def images(self, text: str) -> None:
        (self.files / "gitops/deployed/kustomization.yaml").write_text(f"images: {text}\n")

    def publish(self, *more: str, url: str = "", expect: int = 0) -> list[str]:
        process = subprocess.run(
            [
                SCRIPT,
                url or str(self.bare),
                "main",
                self.seed,
                self.files,
                "Titanium <t@example.org>",
                "The images",
                *more,
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert process.returncode == expect, process.stderr
        return process.stdout.splitlines()

    def show(self, path: str) -> str:
        return git(self.bare, "show", f"main:{path}")

    def push(self, path: str, text: str, name: str = "clone") -> None:
        """Push as a user does."""
        clone = self.folder / name
        if not clone.exists():
            git(self.folder, "clone", "--quiet", str(self.bare), name)
        git(clone, "pull", "--quiet", "--rebase")
        (clone / path).write_text(text)
        git(clone, "commit", "--quiet", "--all", "--message", "by a user")
        git(clone, "push", "--quiet")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_seeds_an_empty_repository(place: Place) -> None:
    lines = place.publish()
    assert lines[0] == "changed"
    assert lines[-1] == git(place.bare, "rev-parse", "main")
    assert place.show("gitops/base/app.yaml") == "app: 1"
    assert place.show("gitops/deployed/kustomization.yaml") == "images: a"
    assert git(place.bare, "log", "--format=%an <%ae> %s") == "Titanium <t@example.org> The images"


def test_a_second_run_changes_nothing(place: Place) -> None:
    place.publish()
    head = git(place.bare, "rev-parse", "main")
    assert place.publish() == [head]


def test_changes_its_own_files_and_leaves_those_of_others(place: Place) -> None:
    place.publish()
    place.push("gitops/base/app.yaml", "app: 2\n")
    (place.seed / "gitops/base/app.yaml").write_text("app: 3\n")
    place.images("b")
    lines = place.publish()
    assert lines[0] == "changed"
    assert "gitops/deployed/kustomization.yaml" in lines[1]
    assert place.show("gitops/base/app.yaml") == "app: 2"
    assert place.show("gitops/deployed/kustomization.yaml") == "images: b"
    assert git(place.bare, "rev-list", "--count", "main") == "3"


def test_check_tells_and_pushes_nothing(place: Place) -> None:
    place.publish()
    head = git(place.bare, "rev-parse", "main")
    place.images("b")
    lines = place.publish("check")
    assert lines[0] == "changed"
    assert any("gitops/deployed/kustomization.yaml" in line for line in lines)
    assert git(place.bare, "rev-parse", "main") == head


def test_a_push_meanwhile_is_kept(place: Place) -> None:
    """The server's hook refuses the first attempt, after somebody else's push got in: as if they had been quicker."""
    place.publish()
    git(place.folder, "clone", "--quiet", str(place.bare), "clone")
    hook = place.bare / "hooks/pre-receive"
    hook.write_text(
        "#!/bin/sh\n"
        f"rm '{hook}'\n"
        "unset GIT_DIR GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES\n"
        f"cd '{place.folder}/clone' || exit 1\n"
        "echo 'app: 2' > gitops/base/app.yaml\n"
        "git -c user.name=x -c user.email=x commit --quiet --all --message 'by a user'\n"
        "git push --quiet\n"
    )
    hook.chmod(0o755)
    place.images("b")
    place.publish()
    assert place.show("gitops/base/app.yaml") == "app: 2"
    assert place.show("gitops/deployed/kustomization.yaml") == "images: b"
    assert git(place.bare, "log", "--format=%s", "main").splitlines() == ["The images", "by a user", "The images"]


def test_a_repository_that_is_not_there_is_an_error(place: Place) -> None:
    place.publish(url=str(place.folder / "nowhere.git"), expect=128)
