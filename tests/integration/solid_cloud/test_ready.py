"""Entry point `ready` of role solid_cloud: machines that boot, reboot, fail, or do not answer.

A stand-in for the program `ssh` runs on this machine what Ansible sends, so that Ansible's own connection is what is tested.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.solid_cloud.conftest import Play, Site

PLAYBOOK = """\
---
- name: A machine
  hosts: all
  gather_facts: false
  tasks:
    - name: Wait until it is ready
      ansible.builtin.include_role: {name: titanium.platform.solid_cloud, tasks_from: ready}
"""

#: The last argument is the command; a machine that is down answers as OpenSSH does.
SSH = """\
#!/bin/sh
for command in "$@"; do :; done
[ ! -e {folder}/down ] || { echo "ssh: connect to host 203.0.113.9 port 2221: Connection refused" >&2; exit 255; }
PATH={folder}:$PATH exec sh -c "$command"
"""

CLOUD_INIT = """\
#!/bin/sh
echo "$@" >>{folder}/calls
{does}
"""

DONE = "echo 'status: done'"

REBOOTS = """\
if [ ! -e {folder}/rebooted ]; then touch {folder}/rebooted {folder}/down; (sleep 2; rm {folder}/down) & kill -9 $PPID; fi
echo 'status: done'
"""


def ready(site: Site, folder: Path, does: str) -> Play:
    """Wait for a machine whose cloud-init does that."""
    for name, text in {"ssh": SSH, "cloud-init": CLOUD_INIT.replace("{does}", does)}.items():
        program = folder / name
        program.write_text(text.replace("{folder}", str(folder)))
        program.chmod(0o755)
    (folder / "playbook.yml").write_text(PLAYBOOK)
    (folder / "hosts.yml").write_text(
        "all: {hosts: {titanium-worker-1: {ansible_host: 203.0.113.9, ansible_port: 2221, "
        f"ansible_python_interpreter: {sys.executable}, ansible_ssh_executable: {folder}/ssh}}}}}}\n"
    )
    return site.run(
        "ansible-playbook",
        "-i",
        str(folder / "hosts.yml"),
        str(folder / "playbook.yml"),
        "-e",
        "solid_cloud_wait_timeout=8",
    )


@pytest.mark.parametrize("does", [DONE, f"{DONE}; exit 2", REBOOTS], ids=["done", "done with complaints", "reboots"])
def test_first_boot(bare_site: Site, tmp_path: Path, does: str) -> None:
    done = ready(bare_site, tmp_path, does)
    assert done.status == 0, done.output
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == ["status --wait"] * (2 if does == REBOOTS else 1)


def test_failed_first_boot(bare_site: Site, tmp_path: Path) -> None:
    done = ready(bare_site, tmp_path, "echo 'status: error'; exit 1")
    assert done.status != 0
    assert "cloud-init failed on titanium-worker-1: status: error. Mend: sudo cloud-init status --long" in done.flat


def test_template_without_cloud_init(bare_site: Site, tmp_path: Path) -> None:
    done = ready(bare_site, tmp_path, "exit 2")
    assert done.status != 0
    assert "cloud-init failed on titanium-worker-1" in done.flat


def test_machine_that_does_not_answer(bare_site: Site, tmp_path: Path) -> None:
    (tmp_path / "down").touch()
    done = ready(bare_site, tmp_path, DONE)
    assert done.status != 0
    assert "titanium-worker-1 does not answer over SSH at 203.0.113.9:2221 within 8 s:" in done.flat
    assert "Connection refused" in done.flat
    assert "is this machine within admin_cidrs" in done.flat
