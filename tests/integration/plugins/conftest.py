"""Fixtures: a control plane for the session, and a way to run the module as a user does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .control_plane import ControlPlane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server with its controllers, without nodes."""
    plane = ControlPlane(tmp_path_factory.mktemp("control-plane"))
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


@pytest.fixture
def namespace(cluster: ControlPlane) -> str:
    """The name of a namespace that does not exist yet."""
    del cluster
    return f"test-{uuid.uuid4().hex[:8]}"


@dataclass
class Run:
    """What a run of ansible-playbook gave."""

    code: int
    output: str
    result: dict[str, Any]

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def changed(self) -> bool:
        return bool(self.result["changed"])

    @property
    def actions(self) -> dict[str, str]:
        return {f"{entry['kind']}/{entry['name']}": entry["action"] for entry in self.result["objects"]}


def run_module(kubeconfig: Path | str, **parameters: Any) -> Run:
    """Run k8s_apply by itself, with the parameters given."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.plugins.run_module"],
        cwd=ROOT,
        env={
            **os.environ,
            "K8S_AUTH_KUBECONFIG": str(kubeconfig),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'collections'}",
        },
        input=json.dumps(parameters),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.stdout.strip(), done.stderr
    result = json.loads(done.stdout)
    return Run(int(bool(result.get("failed"))), done.stdout + done.stderr, result)


@pytest.fixture
def playbook(tmp_path: Path) -> Callable[..., Run]:
    """Run a playbook of one call of k8s_apply.

    The function takes the module's parameters; ``kubeconfig`` is what K8S_AUTH_KUBECONFIG is set to, ``flags`` are
    given to ansible-playbook.
    """

    def run(kubeconfig: Path | str, *flags: str, **parameters: Any) -> Run:
        saved = tmp_path / "result.json"
        saved.unlink(missing_ok=True)
        tasks = [
            {"name": "Apply", "titanium.platform.k8s_apply": parameters, "register": "applied", "ignore_errors": True},
            {
                "name": "Keep the result",
                "ansible.builtin.copy": {"content": "{{ applied | to_json }}", "dest": str(saved), "mode": "0600"},
                "check_mode": False,
                "diff": False,
                "no_log": True,
            },
            {"name": "Fail as it did", "ansible.builtin.assert": {"that": "applied is not failed", "quiet": True}},
        ]
        play = [
            {
                "hosts": "localhost",
                "gather_facts": False,
                "environment": {"K8S_AUTH_KUBECONFIG": str(kubeconfig)},
                "tasks": tasks,
            }
        ]
        file = tmp_path / "play.yml"
        file.write_text(json.dumps(play))
        done = subprocess.run(
            [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", "-c", "local", file, *flags],
            cwd=ROOT,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=240,
        )
        output = done.stdout
        result = json.loads(saved.read_text()) if saved.exists() else {}
        return Run(done.returncode, output, result)

    return run
