#!/usr/bin/env python3
"""Refuse secrets in git: keys and tokens by detect-secrets, and Kubernetes Secrets that are not encrypted with SOPS.

usage: find_secrets.py                look at every file that git knows
       find_secrets.py FILE ...       look at these; what the pre-commit hook does
       find_secrets.py --since REV    look at every file as each commit since REV left it: what was removed again is in the history

What may stay is in .config/secret-exceptions.yml, each with a reason. Nothing is asked of any service whether a secret works.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from detect_secrets import SecretsCollection
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.settings import transient_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EXCEPTIONS = Path(".config/secret-exceptions.yml")
# Every detector but those that guess by randomness, which digests and checksums trip.
WITHOUT = {"Base64HighEntropyString", "HexHighEntropyString", "IPPublicDetector"}
# Long lists of checksums, written by tools.
SKIPPED = ("*/go.sum", "requirements/*.txt", "services/requirements.txt", "*.png", "*.svg")
AGE_KEY = re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]{58}")
MANIFESTS = (".yaml", ".yml", ".json")
UNSEALED = "Kubernetes Secret in plain text"


@dataclass(frozen=True, order=True)
class Finding:
    """A secret: where, of what kind, and the digest by which an exception names it."""

    path: str
    line: int
    kind: str
    digest: str


@dataclass(frozen=True)
class Exemption:
    """What may stay: of a kind, below a path or exactly one, and why."""

    path: str
    kind: str
    digest: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        """Tell whether a finding is what it says."""
        return (
            fnmatch.fnmatch(finding.path, self.path)
            and finding.kind == self.kind
            and self.digest in ("", finding.digest)
        )


def exemptions(root: Path) -> list[Exemption]:
    """Read what may stay.

    Raises:
        ValueError: an entry says no reason, or covers too much.
    """
    file = root / EXCEPTIONS
    found = []
    for entry in (yaml.safe_load(file.read_text(encoding="utf-8")) or []) if file.exists() else []:
        exemption = Exemption(entry["path"], entry["kind"], entry.get("digest", ""), entry.get("reason", ""))
        if len(exemption.reason.split()) < 3:
            raise ValueError(f"{EXCEPTIONS}: {exemption.path}: the reason is missing")
        if not exemption.digest and not exemption.path.startswith("tests/"):
            raise ValueError(f"{EXCEPTIONS}: {exemption.path}: only tests may be exempt without a digest")
        found.append(exemption)
    return found


def secrets_in(value: Any, strict: bool) -> Iterator[str]:
    """Find plain Secrets, also in lists and in patches that are written as text; yield their names.

    Strict means that a Secret may not even be empty: in gitops/ only an encrypted one has a place.
    """
    if isinstance(value, str) and "\n" in value and "Secret" in value:
        yield from secrets_in(documents(value), strict)
    elif isinstance(value, list):
        for part in value:
            yield from secrets_in(part, strict)
    elif isinstance(value, dict):
        if value.get("secretGenerator"):
            yield "secretGenerator"
        if value.get("kind") == "Secret" and isinstance(value.get("metadata"), dict):
            values = values_of(value)
            if not encrypted(value, values) and (strict or any(plain(item) for item in values)):
                yield str(value["metadata"].get("name"))
        for part in value.values():
            yield from secrets_in(part, strict)


def values_of(manifest: dict[str, Any]) -> list[Any]:
    """Return the values of a Secret; a whole that Ansible fills in is one."""
    parts = [manifest.get(key) or {} for key in ("data", "stringData")]
    return [value for part in parts for value in (part.values() if isinstance(part, dict) else [part])]


def plain(value: Any) -> bool:
    """Tell whether a value is there to be read, not filled in by Ansible."""
    return not (isinstance(value, str) and (not value or "{{" in value))


def encrypted(manifest: dict[str, Any], values: list[Any]) -> bool:
    """Tell whether SOPS has encrypted every value of a Secret."""
    sops = manifest.get("sops")
    sealed = all(isinstance(value, str) and value.startswith("ENC[") for value in values)
    return isinstance(sops, dict) and bool(sops.get("mac")) and bool(values) and sealed


def documents(text: str) -> list[Any]:
    """Read YAML of any number of documents; what is no YAML has none."""
    try:
        return list(yaml.safe_load_all(text))
    except yaml.YAMLError:
        return []


def scan(root: Path, path: str) -> list[Finding]:
    """Look at one file."""
    file = root / path
    if file.is_symlink() or not file.is_file() or any(fnmatch.fnmatch(path, pattern) for pattern in SKIPPED):
        return []
    plugins = [
        {"name": plugin.__name__}
        for plugin in get_mapping_from_secret_type_to_class().values()
        if plugin.__name__ not in WITHOUT
    ]
    with transient_settings({"plugins_used": plugins}) as settings:
        # A comment in the line would be an exception without a reason.
        settings.disable_filters("detect_secrets.filters.allowlist.is_line_allowlisted")
        collection = SecretsCollection(root=str(root))
        collection.scan_file(path)
    found = [Finding(path, secret.line_number, secret.type, secret.secret_hash) for _, secret in collection]
    text = file.read_text(encoding="utf-8", errors="replace")
    found += [Finding(path, text[: m.start()].count("\n") + 1, "age key", "") for m in AGE_KEY.finditer(text)]
    if path.endswith(MANIFESTS) and "ecret" in text:
        strict = path.startswith("gitops/")
        found += [Finding(path, 1, UNSEALED, name) for name in secrets_in(documents(text), strict)]
    return found


def scan_all(root: Path, paths: Iterable[str]) -> list[Finding]:
    """Look at many files."""
    wanted = sorted(set(paths))
    if len(wanted) < 20:
        return [finding for path in wanted for finding in scan(root, path)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return [finding for part in pool.map(scan, [root] * len(wanted), wanted, chunksize=8) for finding in part]


def git(*arguments: str) -> str:
    """Run git and return what it printed."""
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout


def names(output: str) -> list[str]:
    """Split what git printed with -z."""
    return [name for name in output.split("\0") if name]


def scan_commits(since: str) -> list[Finding]:
    """Look at what each commit since a revision added or changed."""
    found: list[Finding] = []
    for commit in git("rev-list", f"{since}..HEAD").split():
        changed = names(
            git("diff-tree", "-z", "-r", "--root", "--no-commit-id", "--name-only", "--diff-filter=d", "-m", commit)
        )
        if not changed:
            continue
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder, "tree.tar")
            git("archive", "--output", str(archive), commit, "--", *changed)
            with tarfile.open(archive) as tar:
                tar.extractall(Path(folder, "tree"), filter="data")
            found += scan_all(Path(folder, "tree"), changed)
    return found


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="*")
    parser.add_argument("--since", metavar="REV")
    arguments = parser.parse_args()
    root = Path(git("rev-parse", "--show-toplevel").strip())
    os.chdir(root)
    try:
        allowed = exemptions(root)
    except (ValueError, KeyError) as error:
        print(f"secrets: {error}", file=sys.stderr)
        return 1
    everything = not arguments.file and not arguments.since
    found = (
        scan_commits(arguments.since)
        if arguments.since
        else scan_all(root, arguments.file or names(git("ls-files", "-z")))
    )
    bad = sorted({finding for finding in found if not any(exemption.covers(finding) for exemption in allowed)})
    for finding in bad:
        # Never the secret itself: this is printed where others read.
        print(f"{finding.path}:{finding.line}: {finding.kind} (digest {finding.digest or '-'})")
    if bad:
        print(
            "secrets: take them out. What has been pushed must be made anew. A Kubernetes Secret belongs into a *.sops.yaml file,\n"
            f"encrypted (docs/ci.md). What is no secret goes into {EXCEPTIONS}, with its digest and the reason.",
            file=sys.stderr,
        )
    idle = [e for e in allowed if everything and not any(e.covers(finding) for finding in found)]
    for exemption in idle:
        print(
            f"{EXCEPTIONS}: {exemption.path}: {exemption.kind} is not there any more, remove the entry", file=sys.stderr
        )
    return int(bool(bad or idle))


if __name__ == "__main__":
    sys.exit(main())
