#!/usr/bin/env python3
"""Keep the image digests of the overlays: gitops/overlays/OVERLAY/images/kustomization.yaml, which is written by this alone.

usage: digests.py bump OVERLAY --commit SHA NAME=REPOSITORY@sha256:DIGEST ...
       digests.py promote FROM TO [NAME ...]

bump commits what was built from a commit to a branch of a remote and pushes it, in a work tree of its own. Whoever pushes
meanwhile loses nothing: the change is made anew on what they pushed. An image that was built from an older commit than the
one that is there is left out.

promote copies digests from what is committed for one overlay to another one's file, for a person to look at and commit.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

HEAD = """\
---
# Which image each service runs here, by digest; the tag is the commit it was built from. Written by scripts/ci/digests.py.
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
"""
NAMES = ("api-gateway", "auth-service", "blog-service", "migrations", "user-service")
ATTEMPTS = 10
# Whose commits these are; the push itself is made with whatever rights git has been given.
AUTHOR = ("-c", "user.name=titanium-ci", "-c", "user.email=ci@titanium.invalid")


class Refused(Exception):
    """What was asked for is not done; the message says why and what to do."""


@dataclass(frozen=True)
class Image:
    """Where an image is, and which commit it was built from."""

    repository: str
    commit: str
    digest: str


Images = dict[str, Image]


def git(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run git in a folder."""
    process = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if check and process.returncode != 0:
        raise Refused(f"git {' '.join(arguments)} failed:\n{process.stderr.strip()}")
    return process


def path_of(overlay: str) -> Path:
    """Return the path of an overlay's file in the repository."""
    if not re.fullmatch(r"[a-z0-9-]+", overlay):
        raise Refused(f"{overlay!r} is no name of an overlay")
    return Path("gitops/overlays") / overlay / "images/kustomization.yaml"


def parse(text: str) -> Images:
    """Read an overlay's file."""
    return {
        entry["name"]: Image(entry["newName"], entry["newTag"], entry["digest"])
        for entry in yaml.safe_load(text).get("images") or []
    }


def render(images: Images) -> str:
    """Write an overlay's file."""
    if not images:
        return f"{HEAD}images: []\n"
    lines = [
        f'  - name: {name}\n    newName: {image.repository}\n    newTag: "{image.commit}"\n    digest: {image.digest}\n'
        for name, image in sorted(images.items())
    ]
    return f"{HEAD}images:\n{''.join(lines)}"


def read(file: Path) -> Images:
    """Read an overlay's file from disk."""
    if not file.is_file():
        raise Refused(f"there is no {file}: this overlay's images are not chosen by digest here")
    return parse(file.read_text(encoding="utf-8"))


def reference(text: str, commit: str) -> tuple[str, Image]:
    """Read NAME=REPOSITORY@DIGEST."""
    match = re.fullmatch(r"([a-z0-9-]+)=([a-z0-9][a-z0-9._:/-]*)@(sha256:[0-9a-f]{64})", text)
    if not match:
        raise Refused(f"{text!r} is not NAME=REPOSITORY@sha256:DIGEST")
    name, repository, digest = match.groups()
    if name not in NAMES:
        raise Refused(f"{name!r} is none of {', '.join(NAMES)}")
    return name, Image(repository, commit, digest)


def newer(folder: Path, there: str, commit: str) -> bool:
    """Tell whether what is there was built from a descendant of a commit. A commit that is gone is no descendant."""
    return there != commit and git(folder, "merge-base", "--is-ancestor", commit, there, check=False).returncode == 0


def bump(folder: Path, overlay: str, wanted: Images, remote: str, branch: str) -> str:
    """Commit and push digests to a branch; return what happened, in words."""
    file = path_of(overlay)
    for attempt in range(ATTEMPTS):
        git(folder, "fetch", "--quiet", remote, f"refs/heads/{branch}")
        base = git(folder, "rev-parse", "FETCH_HEAD").stdout.strip()
        with tempfile.TemporaryDirectory(prefix="digests-") as name:
            tree = Path(name, "tree")
            git(folder, "worktree", "add", "--quiet", "--detach", str(tree), base)
            try:
                before = read(tree / file)
                fresh = {
                    key: image
                    for key, image in wanted.items()
                    if before.get(key) != image
                    and not (key in before and newer(folder, before[key].commit, image.commit))
                }
                if not fresh:
                    return f"{overlay}: nothing to do, what is there is the same or newer"
                (tree / file).write_text(render(before | fresh), encoding="utf-8")
                git(tree, "add", str(file))
                changed = ", ".join(sorted(fresh))
                source = next(iter(fresh.values())).commit
                git(
                    tree,
                    *AUTHOR,
                    "commit",
                    "--quiet",
                    "-m",
                    f"{overlay}: {changed} from {source[:12]}",
                    "--",
                    str(file),
                )
                push = git(tree, "push", "--quiet", remote, f"HEAD:refs/heads/{branch}", check=False)
            finally:
                git(folder, "worktree", "remove", "--force", str(tree), check=False)
        if push.returncode == 0:
            return f"{overlay}: pushed {changed} from {source[:12]}"
        git(folder, "fetch", "--quiet", remote, f"refs/heads/{branch}")
        lost_race = git(folder, "rev-parse", "FETCH_HEAD").stdout.strip() != base or "cannot lock ref" in push.stderr
        if not lost_race:
            raise Refused(f"the push was refused, and not because somebody was faster:\n{push.stderr.strip()}")
        time.sleep(random.uniform(0, 0.2 * 2 ** min(attempt, 5)))  # noqa: S311
    raise Refused(f"{branch} moved {ATTEMPTS} times while this was being pushed; run it again")


def promote(folder: Path, source: str, target: str, names: list[str]) -> str:
    """Copy digests from one overlay, as committed, to another one's file; return what changed, in words."""
    if source == target:
        raise Refused("FROM and TO are the same")
    committed = git(folder, "show", f"HEAD:{path_of(source)}", check=False)
    if committed.returncode != 0:
        raise Refused(f"{path_of(source)} is not in the last commit")
    tried = parse(committed.stdout)
    missing = sorted(set(names) - tried.keys())
    if missing or not tried:
        raise Refused(
            f"{source} does not run {', '.join(missing) or 'anything by digest'}: only what runs there goes on"
        )
    file = folder / path_of(target)
    before = read(file)
    after = before | {name: image for name, image in tried.items() if not names or name in names}
    lines = [
        f"{name}: {before[name].digest if name in before else 'none'} -> {image.digest} (built from {image.commit[:12]})"
        for name, image in sorted(after.items())
        if before.get(name) != image
    ]
    if not lines:
        return f"{target} runs the same as {source} already"
    file.write_text(render(after), encoding="utf-8")
    return "\n".join([*lines, f"Look at it with scripts/gitops-preview {target}, then commit {path_of(target)}."])


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("bump")
    one.add_argument("overlay")
    one.add_argument("image", nargs="+", help="NAME=REPOSITORY@sha256:DIGEST")
    one.add_argument("--commit", required=True, help="the commit that the images were built from")
    one.add_argument("--remote", default="origin")
    one.add_argument("--branch", default="main")
    two = verbs.add_parser("promote")
    two.add_argument("source", metavar="FROM")
    two.add_argument("target", metavar="TO")
    two.add_argument("names", nargs="*", metavar="NAME", help="only these; all without")
    arguments = parser.parse_args()
    try:
        folder = Path(git(Path.cwd(), "rev-parse", "--show-toplevel").stdout.strip())
        if arguments.verb == "promote":
            print(promote(folder, arguments.source, arguments.target, arguments.names))
            return 0
        if not re.fullmatch(r"[0-9a-f]{40}", arguments.commit):
            raise Refused(f"--commit {arguments.commit!r} is not a full commit")
        wanted = dict(reference(text, arguments.commit) for text in arguments.image)
        print(bump(folder, arguments.overlay, wanted, arguments.remote, arguments.branch))
    except Refused as refused:
        print(f"digests: {refused}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
