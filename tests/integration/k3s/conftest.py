"""One laboratory for all tests of the role: three servers, an agent, and a host that is not in the cluster yet."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.k3s.lab import Lab, Run

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Hosts on which nothing is installed."""
    if shutil.which("sshd", path="/usr/sbin") is None:
        pytest.fail("there is no sshd; mend: scripts/test-tools")
    # Not pytest's own folder, whose path would make those of SSH's sockets too long.
    with (
        tempfile.TemporaryDirectory(prefix="k3s-") as folder,
        Lab(Path(folder), servers=["cp-1", "cp-2", "cp-3"], agents=["agent-1"], extra_hosts=["agent-2"]) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def checked(lab: Lab) -> Run:
    """A first run in check mode."""
    return lab.play("cluster_k3s.yml", "--check", "--diff")


@pytest.fixture(scope="module")
def installed(lab: Lab, checked: Run) -> Run:  # noqa: ARG001 - comes first
    """The run that made the cluster, as talkative as can be."""
    return lab.must_play("cluster_k3s.yml", "-vvv", "--diff")
