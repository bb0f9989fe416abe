"""playbooks/reset.yml leaves no trace. Runs last, and only where the tests made the cluster: it destroys its data."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import playbook

FOLDERS = [Path(p) for p in ("/var/lib/titanium", "/var/log/titanium", "/run/titanium")]

PROCESSES = {"etcd", "kube-apiserver", "kubelet", "kube-proxy", "containerd", "containerd-shim-runc-v2", "supervisord"}


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.cluster
@pytest.mark.timeout(600)
def test_reset_leaves_no_trace() -> None:
    asked = playbook("playbooks/reset.yml")
    assert asked.returncode != 0, "it must not reset without being told so"
    assert FOLDERS[0].exists()

    run = playbook("playbooks/reset.yml", "-e", "reset_confirm=yes")
    assert run.returncode == 0, run.output

    assert not [folder for folder in FOLDERS if folder.exists()]
    assert "KUBE-" not in output("iptables-save")
    assert "CNI-" not in output("iptables-save")
    assert "titanium" not in Path("/proc/mounts").read_text()
    assert "/var/lib/kubelet" not in Path("/proc/mounts").read_text()
    assert "cni0" not in output("ip", "link")
    assert "titanium" not in output("ip", "link")
    assert not output("ip", "netns").strip()
    assert "/run/netns" not in Path("/proc/mounts").read_text()
    running = [p for p in psutil.process_iter(["name", "status"]) if p.info["status"] != psutil.STATUS_ZOMBIE]
    assert not [p.info["name"] for p in running if p.info["name"] in PROCESSES]


@pytest.mark.cluster
@pytest.mark.timeout(300)
def test_reset_of_a_machine_that_lost_its_power_removes_what_is_left() -> None:
    """No process survived, but the supervisor's socket and the folders did."""
    FOLDERS[0].mkdir()
    FOLDERS[2].mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(FOLDERS[2] / "supervisor.sock"))

    run = playbook("playbooks/reset.yml", "-e", "reset_confirm=yes")

    assert run.returncode == 0, run.output
    assert not [folder for folder in FOLDERS if folder.exists()]
