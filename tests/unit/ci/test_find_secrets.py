"""A secret that is committed by mistake is refused, by the hook of a real `git commit` and by CI's look at every commit.

What must be refused is put together here, so that this file has no secret in it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyrage
import pytest

from .repository import ENVIRONMENT, ROOT, commit, git, make

BIN = Path(sys.executable).parent
OURS = (".pre-commit-config.yaml", ".sops.yaml", ".yamllint", "scripts/ci/find_secrets.py")
PLAIN = """\
---
apiVersion: v1
kind: Secret
metadata:
  name: smtp
stringData:
  account: {}
"""
KEY = "\n".join(
    ["-----BEGIN " + "PRIVATE KEY-----", "MC4CAQAwBQYDK2VwBCIEIA" + "x" * 42, "-----END " + "PRIVATE KEY-----"]
)
SECRETS = {
    "private key": ("deploy/id", KEY + "\n", "Private Key"),
    "AWS key": ("deploy/aws.ini", "id = AKI" + "AIOSFODNN7EXAMPLA\n", "AWS Access Key"),
    "GitHub token": ("deploy/ci.txt", "use ghp" + "_" + "a1B2c3D4e5F6" * 3 + "\n", "GitHub Token"),
    "Slack token": (
        "deploy/notify.txt",
        "xoxb" + "-123456789012-123456789012-AbCdEfGhIjKlMnOpQrStUvWx\n",
        "Slack Token",
    ),
    "token of an account": (
        "deploy/jwt.txt",
        "ey" + "JhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.TVa5tUWLTV2wMfZC0Kq7rM9DLkzU3F8CjDo8zXzqVmM",
        "JSON Web Token",
    ),
    "password in a setting": ("deploy/settings.py", "database_pass" + 'word = "tr0ub4dor-and-3"\n', "Secret Keyword"),
    "key of age": ("deploy/keys.txt", str(pyrage.x25519.Identity.generate()) + "\n", "age key"),
    "Secret in gitops": ("gitops/smtp.yaml", PLAIN.format("hunter2"), "Kubernetes Secret in plain text"),
    "Secret elsewhere": ("deploy/smtp.yaml", PLAIN.format("hunter2"), "Kubernetes Secret in plain text"),
    "Secret in a list": (
        "deploy/list.json",
        '{"kind": "List", "items": [{"kind": "Secret", "metadata": {"name": "a"}, "data": {"account": "aHVudGVyMg=="}}]}',
        "Kubernetes Secret in plain text",
    ),
    "Secret in a patch": (
        "gitops/kustomization.yaml",
        "---\npatches:\n  - patch: |\n      kind: Secret\n      metadata: {name: a}\n      stringData: {account: hunter2}\n",
        "Kubernetes Secret in plain text",
    ),
    "generated Secret": (
        "gitops/kustomization.yaml",
        "---\nsecretGenerator:\n  - name: a\n    literals: [account=hunter2]\n",
        "Kubernetes Secret in plain text",
    ),
}


def try_commit(folder: Path) -> tuple[int, str]:
    """Commit everything as a person would; return how it ended and what was said."""
    git(folder, "add", "--all")
    process = subprocess.run(
        ["git", "commit", "--message", "more"], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    return process.returncode, process.stdout + process.stderr


def write(folder: Path, name: str, text: str) -> Path:
    """Write a file."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def find(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the script as CI does."""
    process = subprocess.run(
        [BIN / "python", folder / "scripts/ci/find_secrets.py", *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    return process.returncode, process.stdout + process.stderr


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with the hook in place."""
    folder = make(tmp_path / "clone", *OURS)
    monkeypatch.setitem(ENVIRONMENT, "PRE_COMMIT_HOME", str(tmp_path / "pre-commit"))
    (folder / ".venv-dev").symlink_to(BIN.parent)
    git(folder, "config", "core.excludesFile", str(write(tmp_path, "ignored", ".venv-dev\n")))
    subprocess.run([BIN / "pre-commit", "install"], cwd=folder, env=ENVIRONMENT, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(("name", "text", "kind"), SECRETS.values(), ids=SECRETS)
def test_git_commit_is_refused(clone: Path, name: str, text: str, kind: str) -> None:
    head = git(clone, "rev-parse", "HEAD")
    write(clone, name, text)
    status, said = try_commit(clone)
    assert status == 1, said
    assert f"{name}:" in said
    assert kind in said
    assert "hunter2" not in said
    assert git(clone, "rev-parse", "HEAD") == head


def test_what_is_no_secret_is_committed(clone: Path) -> None:
    write(clone, "deploy/settings.py", 'database_host = "postgresql"\n')
    write(
        clone, "deploy/task.yml", "---\nkind: Secret\nmetadata: {name: a}\nstringData: {account: '{{ generated }}'}\n"
    )
    status, said = try_commit(clone)
    assert status == 0, said


def test_a_secret_that_sops_encrypted_is_committed(clone: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    file = write(clone, "gitops/smtp.sops.yaml", PLAIN.format("hunter2"))
    environment = {**ENVIRONMENT, "SOPS_AGE_RECIPIENTS": str(identity.to_public())}
    subprocess.run([BIN / "sops", "encrypt", "--in-place", file], cwd=clone, env=environment, check=True)
    assert "hunter2" not in file.read_text()
    assert "name: smtp" in file.read_text()
    # sops indents as it likes; that it is no secret is the question here.
    status, said = find(clone, "gitops/smtp.sops.yaml")
    assert (status, said) == (0, "")

    environment = {**ENVIRONMENT, "SOPS_AGE_KEY": str(identity)}
    opened = subprocess.run(
        [BIN / "sops", "decrypt", file], cwd=clone, env=environment, check=True, capture_output=True, text=True
    )
    assert "account: hunter2" in opened.stdout

    # One value added by hand, in plain text.
    file.write_text(file.read_text().replace("stringData:\n", "stringData:\n    other: hunter3\n"))
    assert find(clone, "gitops/smtp.sops.yaml")[0] == 1


def test_the_name_alone_does_not_make_it_encrypted(clone: Path) -> None:
    write(clone, "gitops/smtp.sops.yaml", PLAIN.format("hunter2"))
    assert try_commit(clone)[0] == 1


def test_an_empty_secret_has_no_place_in_gitops(clone: Path) -> None:
    write(clone, "gitops/a.yaml", "---\nkind: Secret\nmetadata: {name: a}\n")
    assert try_commit(clone)[0] == 1


def test_a_comment_in_the_line_excuses_nothing(clone: Path) -> None:
    write(clone, "deploy/aws.ini", "id = AKI" + "AIOSFODNN7EXAMPLA # pragma: allowlist secret\n")
    assert try_commit(clone)[0] == 1


def test_ci_finds_what_was_removed_again(clone: Path) -> None:
    """Whoever commits without the hook."""
    base = git(clone, "rev-parse", "HEAD")
    git(clone, "config", "core.hooksPath", "/dev/null")
    commit(clone, {"deploy/aws.ini": "id = AKI" + "AIOSFODNN7EXAMPLA\n"})
    commit(clone, {"deploy/aws.ini": "id =\n"})
    assert find(clone)[0] == 0
    status, said = find(clone, "--since", base)
    assert status == 1
    assert "deploy/aws.ini:1: AWS Access Key" in said


def test_an_exception_needs_a_reason_and_a_digest_and_use(clone: Path) -> None:
    file = "deploy/aws.ini"
    write(clone, file, "id = AKI" + "AIOSFODNN7EXAMPLA\n")
    git(clone, "add", "--all")
    digest = find(clone)[1].split("(digest ")[1].split(")")[0]

    def excuse(**entry: str) -> tuple[int, str]:
        lines = "".join(f"  {key}: {value}\n" for key, value in entry.items())
        write(clone, ".config/secret-exceptions.yml", f"---\n- {lines.strip()}\n")
        return find(clone)

    kind, reason = "AWS Access Key", "the example of the documentation"
    assert excuse(path=file, kind=kind, digest=digest, reason=reason) == (0, "")
    assert "reason" in excuse(path=file, kind=kind, digest=digest)[1]
    assert "without a digest" in excuse(path=file, kind=kind, reason=reason)[1]
    assert excuse(path=file, kind=kind, digest="0" * 40, reason=reason)[0] == 1
    assert excuse(path="deploy/other.ini", kind=kind, digest=digest, reason=reason)[0] == 1
    write(clone, file, "id =\n")
    status, said = excuse(path=file, kind=kind, digest=digest, reason=reason)
    assert status == 1
    assert "is not there any more" in said


def test_our_hook_and_ci_look_with_the_same_script() -> None:
    assert "scripts/ci/find_secrets.py" in (ROOT / ".pre-commit-config.yaml").read_text()
    assert "scripts/ci/find_secrets.py" in (ROOT / "scripts/ci/secrets.sh").read_text()
