"""Wrong input is refused before anything is touched, each time with one line that says how to mend it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT, kubectl, playbook


def objects() -> str:
    """What is in the cluster but for pods, which autoscalers make and remove at any time."""
    kinds = "deployments,statefulsets,daemonsets,services,configmaps,secrets"
    return kubectl("get", kinds, "-A", "-o", "jsonpath={.items[*].metadata.uid}")


def refusal(*arguments: str) -> str:
    """What the preflight printed; asserts that it refused and changed nothing."""
    before = objects()
    run = playbook("site.yml", *arguments)
    assert run.returncode != 0, run.output
    assert run.recap("changed") == 0, run.output
    assert objects() == before
    return run.output


def test_unknown_variable() -> None:
    output = refusal("-e", "postgresql_storage_sise=2Gi")
    assert "postgresql_storage_sise" in output
    assert "postgresql_storage_size" in output  # did you mean


def test_boolean_as_a_string() -> None:
    output = refusal("-e", '{"redis_persistence": "maybe"}')
    assert "redis_persistence" in output


def test_bad_cidr() -> None:
    output = refusal("-e", "kubernetes_pod_cidr=10.244.0.0/99")
    assert "10.244.0.0/99" in output


def test_overlapping_cidrs() -> None:
    output = refusal("-e", "kubernetes_pod_cidr=10.96.0.0/16")
    assert "overlap" in output


@pytest.mark.skipif(os.geteuid() != 0, reason="dropping root needs root")
def test_no_root(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    # The clone and its environment may lie where only root can read, so that much of root is kept.
    reading = "+dac_override,+dac_read_search"
    process = subprocess.run(
        [
            *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
            *(f"--inh-caps={reading}", f"--ambient-caps={reading}"),
            *(str(Path(sys.executable).parent / "ansible-playbook"), "-i", "inventories/local", "site.yml"),
        ],
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path), "ANSIBLE_LOCAL_TEMP": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode != 0
    assert "not root: a node needs it. Mend: sudo make up" in process.stdout
    assert "changed=0" in process.stdout


def test_port_taken() -> None:
    """A port of the platform in use by somebody else is named, with the process that holds it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        output = refusal("--tags", "cluster", "-e", f'{{"host_preflight_ports": [{port}]}}')
    assert str(port) in output


def test_no_space() -> None:
    output = refusal("--tags", "cluster", "-e", "host_preflight_disk_gib=1000000 host_preflight_disk_gib_built=1000000")
    assert "1000000" in output
