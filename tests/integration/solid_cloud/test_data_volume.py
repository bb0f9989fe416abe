"""Role data_volume on a loop device: formatted once, mounted, grown, never overwritten."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.solid_cloud.conftest import Play, Site

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="loop devices and mounts need root")
MIB = 2**20
PLAYBOOK = """\
---
- name: A machine with a volume
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Run the role
      ansible.builtin.include_role:
        name: titanium.platform.data_volume
        tasks_from: "{{ entry_point }}"
"""


def run(*command: str) -> str:
    """Run a command, which must succeed. Returns what it printed."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@dataclass
class Machine:
    """This machine, with a volume of 64 MiB."""

    site: Site
    folder: Path
    device: str

    @property
    def path(self) -> Path:
        return self.folder / "storage"

    def play(self, *arguments: str, entry_point: str = "main") -> Play:
        """Run the role, whatever comes of it."""
        variables = {
            "entry_point": entry_point,
            "ansible_python_interpreter": sys.executable,
            "data_volume_devices": [str(self.folder / "not-this-one"), self.device],
            "data_volume_path": str(self.path),
            "data_volume_wait_timeout": 5,
        }
        (self.folder / "playbook.yml").write_text(PLAYBOOK)
        return self.site.run(
            "ansible-playbook",
            "-i",
            "localhost,",
            str(self.folder / "playbook.yml"),
            "-e",
            json.dumps(variables),
            *arguments,
        )

    def must(self, *arguments: str, entry_point: str = "main") -> Play:
        """Run the role, which must succeed."""
        done = self.play(*arguments, entry_point=entry_point)
        assert done.status == 0, done.output
        return done

    def size(self) -> int:
        """Size of the mounted file system, in bytes."""
        found = os.statvfs(self.path)
        return found.f_blocks * found.f_frsize


@pytest.fixture
def machine(bare_site: Site, tmp_path: Path) -> Iterator[Machine]:
    image = tmp_path / "volume"
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    device = run("losetup", "--find", "--show", str(image)).strip()
    try:
        yield Machine(bare_site, tmp_path, device)
    finally:
        fstab = Path("/etc/fstab")
        fstab.write_text(
            "".join(line for line in fstab.read_text().splitlines(keepends=True) if str(tmp_path) not in line)
        )
        if os.path.ismount(tmp_path / "storage"):
            run("umount", str(tmp_path / "storage"))
        run("losetup", "--detach", device)


@pytest.mark.timeout(900)
def test_life_of_a_volume(machine: Machine) -> None:
    assert machine.must("--check").recap("changed") > 0
    assert not os.path.ismount(machine.path)
    assert subprocess.run(["blkid", "--probe", machine.device], check=False, capture_output=True).returncode == 2

    machine.must()
    assert os.path.ismount(machine.path)
    assert f"{machine.device} {machine.path} ext4 " in Path("/etc/fstab").read_text()
    (machine.path / "data").write_text("kept")
    assert machine.must().recap("changed") == 0

    # Not while it is mounted, which needs a capability that few test machines have.
    before = machine.size()
    run("umount", str(machine.path))
    os.truncate(machine.folder / "volume", 128 * MIB)
    run("losetup", "--set-capacity", machine.device)
    run("e2fsck", "-f", "-p", machine.device)
    assert machine.must("--check").recap("changed") > 0, "what somebody unmounted by hand is seen"
    machine.must()
    assert machine.size() > 1.5 * before
    assert (machine.path / "data").read_text() == "kept"
    assert machine.must("--check").recap("changed") == 0

    machine.must(entry_point="uninstall")
    assert not os.path.ismount(machine.path)
    assert str(machine.path) not in Path("/etc/fstab").read_text()
    machine.must()
    assert (machine.path / "data").read_text() == "kept", "a volume with data is taken over as it is"
    machine.must(entry_point="uninstall")


def test_something_else_on_it_is_left_alone(machine: Machine) -> None:
    run("mkswap", machine.device)
    done = machine.play()
    assert done.status != 0
    assert f"{machine.device} on localhost holds something else (TYPE=swap), and is left alone" in done.flat
    assert "TYPE=swap" in run("blkid", "--probe", "--output", "export", machine.device)


def test_files_that_it_would_hide(machine: Machine) -> None:
    machine.path.mkdir()
    (machine.path / "earlier").touch()
    done = machine.play()
    assert done.status != 0
    assert f"{machine.path} on localhost holds files, which the mounted volume would hide" in done.flat
    assert not os.path.ismount(machine.path)


def test_volume_that_is_not_there(machine: Machine) -> None:
    device, machine.device = machine.device, str(machine.folder / "nor-this-one")
    done = machine.play()
    machine.device = device
    assert done.status != 0
    assert "nor-this-one exists on localhost. Mend: `lsblk" in done.flat
