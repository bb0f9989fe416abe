"""A clone of the platform's own git server, for changes that are pushed."""

from __future__ import annotations

import base64
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

URL = "http://127.0.0.1:30418/git/titanium.git"
PASSWORD = Path("/var/lib/titanium/secrets/argocd/git-server/password")
BRANCH = "main"
BLOG_SERVICE = Path("gitops/base/blog-service.yaml")


class Clone:
    """A clone in a folder of its own, removed when the block ends.

    Parameters
    ----------
    url:
        Where the repository is.
    password:
        File with the password of the user `git`.
    """

    def __init__(self, url: str = URL, password: Path = PASSWORD) -> None:
        self._url = url
        # In the environment: others could read a command line or an address.
        login = base64.b64encode(b"git:" + password.read_bytes().strip()).decode() if password.exists() else ""
        self._environment = {
            **os.environ,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {login}",
            **{f"GIT_{who}_NAME": "Titanium" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "titanium@example.org" for who in ("AUTHOR", "COMMITTER")},
        }

    def __enter__(self) -> Self:
        """Clone."""
        self._folder = tempfile.TemporaryDirectory(prefix="titanium-clone-")
        self.path = Path(self._folder.name)
        self.git("clone", "--quiet", "--branch", BRANCH, self._url, ".")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the folder."""
        self._folder.cleanup()

    def git(self, *arguments: str, check: bool = True) -> str:
        """Run git in the clone and return what it printed; raise RuntimeError with git's words if it failed."""
        process = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and process.returncode != 0:
            raise RuntimeError(f"git {' '.join(arguments)}: {process.stderr.strip()}")
        return process.stdout.strip()

    @property
    def head(self) -> str:
        """The commit that is checked out."""
        return self.git("rev-parse", "HEAD")

    def replace(self, file: Path, old: str, new: str) -> None:
        """Replace a text in a file; raise ValueError if it is not there exactly once."""
        text = (self.path / file).read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise ValueError(f"{file} has {old!r} {text.count(old)} times")
        (self.path / file).write_text(text.replace(old, new), encoding="utf-8")

    def banner(self, text: str) -> None:
        """Write what the blog shows at the top of its pages; empty for nothing."""
        file = self.path / BLOG_SERVICE
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        lines = [line for line in lines if "{name: SITE_BANNER, " not in line]
        places = [number for number, line in enumerate(lines) if "{name: PORT, " in line]
        if len(places) != 1:
            raise ValueError(f"{BLOG_SERVICE} sets PORT {len(places)} times")
        if text:
            indent = lines[places[0]].partition("-")[0]
            quoted = text.replace("\\", "\\\\").replace('"', '\\"')
            lines.insert(places[0] + 1, f'{indent}- {{name: SITE_BANNER, value: "{quoted}"}}\n')
        file.write_text("".join(lines), encoding="utf-8")

    def commit(self, message: str) -> str:
        """Commit all that changed and return the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.head

    def push(self, *, force: bool = False) -> None:
        """Push; what others pushed meanwhile is fetched and put below, unless `force` overwrites it."""
        if force:
            self.git("push", "--quiet", "--force", "origin", f"HEAD:{BRANCH}")
            return
        for _ in range(5):
            try:
                self.git("push", "--quiet", "origin", f"HEAD:{BRANCH}")
            except RuntimeError as error:
                if "rejected" not in str(error):
                    raise
                self.git("pull", "--quiet", "--rebase", "origin", BRANCH)
            else:
                return
        raise RuntimeError("others pushed each time; try again")
