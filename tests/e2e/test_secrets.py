"""No generated secret shows up where a person or a process could read it by accident."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import psutil
import pytest

from .conftest import ROOT, kubectl, playbook

NAMESPACE = "titanium-prod"


@pytest.fixture(scope="module")
def secrets() -> dict[str, bytes]:
    """Every value of every Secret of the application's namespace, by name."""
    items = json.loads(kubectl("-n", NAMESPACE, "get", "secrets", "-o", "json"))["items"]
    values = {
        f"{item['metadata']['name']}/{key}": base64.b64decode(value).strip()
        for item in items
        for key, value in (item.get("data") or {}).items()
    }
    passwords = {name: value for name, value in values.items() if len(value) >= 12}
    assert len(passwords) >= 6, f"expected the platform's passwords, saw {sorted(values)}"
    return passwords


def test_not_in_the_process_list(secrets: dict[str, bytes]) -> None:
    for process in psutil.process_iter(["cmdline"]):
        line = "\0".join(process.info["cmdline"] or []).encode()
        for name, value in secrets.items():
            assert value not in line, f"{name} is on the command line of process {process.pid}"


def test_not_in_pod_logs(secrets: dict[str, bytes]) -> None:
    logs = b"".join(path.read_bytes() for path in Path("/var/log/titanium/pods").glob("titanium-prod_*/*/*.log"))
    assert logs, "no pod of the application has written a log line"
    for name, value in secrets.items():
        assert value not in logs, f"{name} is in a pod's log"


def test_not_in_the_clusters_logs(secrets: dict[str, bytes]) -> None:
    files = [path for path in Path("/var/log/titanium").rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        for name, value in secrets.items():
            assert value not in content, f"{name} is in {path}"


def test_not_in_a_verbose_diff(secrets: dict[str, bytes]) -> None:
    run = playbook("site.yml", "--tags", "data,blog", "--check", "--diff", "-vvv")
    assert run.returncode == 0, run.output
    for name, value in secrets.items():
        assert value not in run.output.encode(), f"{name} is printed by -vvv"
        assert base64.b64encode(value) not in run.output.encode(), f"{name} is printed by -vvv"


def test_not_in_git(secrets: dict[str, bytes]) -> None:
    for name, value in secrets.items():
        found = subprocess.run(
            ["git", "-C", str(ROOT), "grep", "--quiet", "--fixed-strings", "-f", "-"],
            input=value.splitlines()[len(value.splitlines()) // 2] + b"\n",
            capture_output=True,
            check=False,
        )
        assert found.returncode == 1, f"{name} is in git"


def test_encrypted_at_rest(secrets: dict[str, bytes]) -> None:
    """etcd's files hold no plain secret (the API server encrypts them)."""
    data = b"".join(path.read_bytes() for path in Path("/var/lib/titanium/etcd").rglob("*") if path.is_file())
    assert data
    for name, value in secrets.items():
        assert value not in data, f"{name} is in etcd in the clear"
