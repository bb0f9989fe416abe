"""The collection as other projects use it: built, installed, and a role called by its fully qualified name."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from .conftest import KUBECONFIG, ROOT, kubectl

BIN = Path(sys.executable).parent
NAMESPACE = "foreign-project"

PLAYBOOK = """\
---
- name: Another project's playbook
  hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  tasks:
    - name: A Redis of our own
      ansible.builtin.include_role:
        name: titanium.platform.redis
        tasks_from: "{{ entry_point }}"
      vars:
        redis_namespace: foreign-project
        redis_image: "{{ foreign_image }}"
        credentials_dir: "{{ playbook_dir }}/credentials"
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of collections with titanium.platform installed from its built archive, and nothing of the clone."""
    folder = tmp_path_factory.mktemp("foreign")
    galaxy = str(BIN / "ansible-galaxy")
    subprocess.run([galaxy, "collection", "build", "--output-path", folder], cwd=ROOT, check=True, capture_output=True)
    [archive] = folder.glob("titanium-platform-*.tar.gz")
    subprocess.run(
        [galaxy, "collection", "install", archive, "--no-deps", "--collections-path", folder / "collections"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


def test_archive_holds_what_roles_need_and_nothing_else(installed: Path) -> None:
    [archive] = installed.glob("titanium-platform-*.tar.gz")
    with tarfile.open(archive) as tar:
        names = set(tar.getnames())
        size = sum(member.size for member in tar)
    assert {"lock.yml", "plugins/modules/k8s_apply.py", "roles/redis/README.md", "README.md"} <= names
    unwanted = [
        n for n in names if n.startswith(".") or n.split("/")[0] in {"molecule", "tests", "terraform", "collections"}
    ]
    assert not unwanted
    assert size < 20 * 2**20, f"{size} bytes: something large slipped in"


def test_foreign_playbook_runs_a_role(installed: Path) -> None:
    image = kubectl(
        "-n", "titanium-prod", "get", "statefulset,deployment", "-l", "app.kubernetes.io/name=redis",
        "-o", "jsonpath={.items[0].spec.template.spec.containers[0].image}",
    )  # fmt: skip
    assert image
    (installed / "playbook.yml").write_text(PLAYBOOK)
    (installed / "ansible.cfg").touch()

    def play(entry_point: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / "ansible-playbook"), "playbook.yml", "-e", f"entry_point={entry_point} foreign_image={image}"],
            cwd=installed,
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(installed / "collections"),
                "ANSIBLE_CONFIG": str(installed / "ansible.cfg"),
                "K8S_AUTH_KUBECONFIG": str(KUBECONFIG),
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    try:
        first = play("main")
        assert first.returncode == 0, first.stdout + first.stderr
        assert kubectl("-n", NAMESPACE, "get", "pods", "-o", "jsonpath={.items[*].status.phase}") == "Running"
        second = play("main")
        assert second.returncode == 0, second.stdout + second.stderr
        assert "changed=0" in second.stdout, second.stdout
    finally:
        removed = play("uninstall")
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", check=False)
    assert removed.returncode == 0, removed.stdout + removed.stderr
