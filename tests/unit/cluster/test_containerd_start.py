"""roles/containerd/files/start.sh keeps the network namespaces of pods within reach."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

START = Path(__file__).resolve().parents[3] / "roles/containerd/files/start.sh"

#: A folder /run of our own, without the pods of this machine; what a network plugin does for a pod; what it does when the pod goes.
PREPARE = "grep -o ' /run/netns[^ ]*' /proc/mounts | sort -r | xargs -r umount --lazy\nmount -t tmpfs run /run"
POD = "mkdir -p /run/netns; touch /run/netns/cni-1; mount --bind /proc/self/ns/net /run/netns/cni-1"
NO_POD = "umount /run/netns/cni-1; rm /run/netns/cni-1"


def in_a_namespace(*lines: str) -> subprocess.CompletedProcess[str]:
    """Run shell commands with mounts of their own, stopping at the first that fails."""
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    script = "\n".join(["set -e", PREPARE, *lines])
    return subprocess.run([*unshare, "sh", "-c", script], capture_output=True, text=True, check=False)


def test_a_pod_can_go_after_somebody_made_a_namespace() -> None:
    done = in_a_namespace(f"{START} true", POD, "ip netns add other", NO_POD, "ip netns delete other")
    assert done.returncode == 0, done.stderr


def test_without_it_the_pod_could_not() -> None:
    done = in_a_namespace(POD, "ip netns add other", NO_POD)
    assert done.returncode != 0
    assert "busy" in done.stderr


def test_again_it_does_nothing() -> None:
    count = "grep -c ' /run/netns ' /proc/mounts"
    done = in_a_namespace(f'{START} {START} sh -c "{count}"', "findmnt -no PROPAGATION /run/netns")
    assert done.stdout.split() == ["1", "shared"], done.stderr


def test_pods_that_run_already_are_not_hidden() -> None:
    done = in_a_namespace(POD, f"{START} true", "! mountpoint --quiet /run/netns", NO_POD)
    assert done.returncode == 0, done.stderr
