"""Manifests of releases that roles download, as a mirror has them: taken out of Go modules, without asking who publishes them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from plugins.lookup.lock import place

ROOT = Path(__file__).resolve().parents[2]
#: Entries of the lock file's downloads that Go modules have.
NAMES = ("prometheus-operator", "argocd-core", "argocd")


def releases(folder: Path) -> str:
    """Make `folder` a mirror with these manifests, and return its address for titanium_download_mirror.

    They are kept in the cache in which the inventory `local` has them, and fetched by the tasks with which it does.

    Raises:
        AssertionError: a file is not what lock.yml says.
    """
    lock = yaml.safe_load((ROOT / "lock.yml").read_text())["downloads"]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "titanium"
    cache.mkdir(parents=True, exist_ok=True)
    # Tests run beside each other.
    with (cache / "releases.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if missing := [name for name in NAMES if not (cache / "downloads" / place(lock[name]["url"])).exists()]:
            _fetch(missing)
    for name in NAMES:
        path = place(lock[name]["url"])
        content = (cache / "downloads" / path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == lock[name]["sha256"], f"{name} is not what lock.yml says"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(cache / "downloads" / path, folder / path)
    return f"file://{folder}"


def _fetch(names: list[str]) -> None:
    tasks = [
        {
            "ansible.builtin.include_tasks": str(ROOT / "playbooks/tasks/layer_programs.yml"),
            "vars": {"layer_programs": [], "layer_downloads": names},
        }
    ]
    with tempfile.TemporaryDirectory() as folder:
        playbook = Path(folder, "releases.yml")
        playbook.write_text(json.dumps([{"hosts": "local_cluster", "gather_facts": False, "tasks": tasks}]))
        done = subprocess.run(
            [Path(sys.executable).parent / "ansible-playbook", "-i", "inventories/local", playbook],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
