"""The preflight's checks: what they refuse, and that each says how to mend it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from plugins.lookup import cidr_problems as cidr
from plugins.lookup import variable_problems as variables
from plugins.modules import host_check as host

ROOT = Path(__file__).resolve().parents[3]


def nobody(_: str) -> bool:
    return False


def everybody(_: str) -> bool:
    return True


def test_a_taken_port_is_named_with_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        [problem] = host.taken([port], nobody)
        assert f"port {port} is in use by " in problem
        assert "Mend:" in problem
        assert list(host.taken([port], everybody)) == []
    assert list(host.taken([port], nobody)) == []


def test_space_is_asked_once_for_each_file_system(tmp_path: Path) -> None:
    [problem] = host.space([str(tmp_path / "a/b"), str(tmp_path / "c")], 1e9)
    assert "1000000000 are needed" in problem
    assert list(host.space([str(tmp_path)], 0)) == []


def test_size() -> None:
    assert list(host.size(1, 0.1)) == []
    problems = list(host.size(10_000, 100_000))
    assert len(problems) == 2
    assert all("Mend:" in problem for problem in problems)


def test_another_cluster_is_seen_unless_it_has_a_network_of_its_own(tmp_path: Path) -> None:
    kubelet = tmp_path / "kubelet"
    shutil.copyfile("/bin/sleep", kubelet)
    kubelet.chmod(0o755)
    prefixes: list[list[str]] = [[]]
    if os.geteuid() == 0:
        prefixes.append(["unshare", "--net"])
    for prefix in prefixes:
        process = subprocess.Popen([*prefix, str(kubelet), "30"])
        try:
            deadline = time.monotonic() + 5
            while Path(f"/proc/{process.pid}/comm").read_text().strip() != "kubelet" and time.monotonic() < deadline:
                time.sleep(0.01)
            found = [problem for problem in host.foreign_cluster(nobody) if f"(process {process.pid})" in problem]
            assert len(found) == (0 if prefix else 1)
        finally:
            process.kill()
            process.wait()


def test_no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert host.root() == "not root: a node needs it. Mend: sudo make up"


@pytest.mark.parametrize("release", [{"ID": "fedora", "VERSION_ID": "43"}, {"ID": "debian", "VERSION_ID": "11"}, {}])
def test_another_system(monkeypatch: pytest.MonkeyPatch, release: dict[str, str]) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: release)
    assert "Mend:" in (host.system() or "")


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        (["10.244.0.0/16", "10.96.0.0/16"], []),
        (["10.244.0.0/99"], ["10.244.0.0/99 is not an address range"]),
        (["10.244.1.0/16"], ["10.244.1.0/16 is not an address range"]),
        (["10.0.0.0/8", "10.96.0.0/16"], ["the address ranges 10.0.0.0/8 and 10.96.0.0/16 overlap"]),
        (["10.0.0.0/8", "fd00::/8"], []),
    ],
)
def test_address_ranges(ranges: list[str], expected: list[str]) -> None:
    found = cidr.problems(ranges)
    assert len(found) == len(expected)
    assert all(problem.startswith(start) for problem, start in zip(found, expected, strict=True))


def test_the_role_with_the_longest_name_owns_a_variable() -> None:
    roles: dict[str, Any] = {"blog": {}, "blog_backup": {}}
    assert variables.role_of("blog_backup_days", roles) == "blog_backup"
    assert variables.role_of("blog_url", roles) == "blog"
    assert variables.role_of("bloggers", roles) is None


def test_a_misspelt_variable_gets_a_hint() -> None:
    options: dict[str, Any] = {"postgresql_storage_size": {}, "postgresql_image": {}}
    assert variables.unknown("postgresql_image", options) is None
    assert str(variables.unknown("postgresql_storage_sise", options)).endswith("did you mean postgresql_storage_size?")
    assert str(variables.unknown("x_1", {"entirely_other": {}})).endswith("the role knows: entirely_other")


@pytest.mark.parametrize(
    ("value", "option", "fits"),
    [
        ("maybe", {"type": "bool"}, False),
        ("yes", {"type": "bool"}, True),
        ("three", {"type": "int"}, False),
        ("3", {"type": "int"}, True),
        ("x", {"type": "str", "choices": ["a", "b"]}, False),
        ({"a": 1}, {"type": "list", "elements": "str"}, False),
    ],
)
def test_types(value: object, option: dict[str, Any], fits: bool) -> None:
    problem = variables.misfit("v", value, option)
    assert (problem is None) == fits
    if problem:
        assert "Mend:" in problem


def test_every_role_is_known() -> None:
    assert set(variables.specifications()) == {path.name for path in (ROOT / "roles").iterdir()}
