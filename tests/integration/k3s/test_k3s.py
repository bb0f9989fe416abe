"""The role k3s and its playbooks, over SSH on hosts of their own. The tests are the cluster's life, in this order."""

from __future__ import annotations

import stat
import time
from typing import TYPE_CHECKING

import pytest
import yaml

from plugins.modules.host_check import foreign_cluster
from tests.harness.processes import Process
from tests.integration.k3s.lab import NEW, OLD, in_network_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.k3s.lab import Lab, Run

pytestmark = [pytest.mark.timeout(1500), pytest.mark.slow]

SERVERS = ["cp-1", "cp-2", "cp-3"]
#: What the double of systemctl leaves on a host.
NOT_OURS = {"/run/written/var/log/k3s.service.log", "/run/systemctl/k3s.service"}
UNINSTALL = """
- hosts: k3s_cluster
  gather_facts: false
  become: true
  tasks:
    - ansible.builtin.include_role: {name: titanium.platform.k3s, tasks_from: uninstall}
      vars:
        k3s_servers: "{{ groups['k3s_servers'] }}"
        k3s_agents: "{{ groups['k3s_agents'] }}"
"""


@pytest.fixture(scope="module")
def mirror(lab: Lab) -> Iterator[str]:
    """A mirror of releases that hosts download from."""
    command = ["python3", "-m", "http.server", "8000", "--bind", "10.99.0.1", "--directory", str(lab.releases)]
    server = Process("mirror", in_network_of(lab.network, *command), lab.folder / "mirror.log")
    server.start()
    server.wait_until(
        lambda: lab.on("cp-1", "exec 3<>/dev/tcp/10.99.0.1/8000", check=False).returncode == 0,
        10,
    )
    yield "http://10.99.0.1:8000"
    server.kill()


def left_on(lab: Lab, host: str) -> list[str]:
    """What there still is of k3s on a host: files, folders and processes."""
    command = r"find /run /run/written -xdev -type f,l,d | grep -E 'k3s|rancher|kubelet|/cni|flannel' || true"
    found = sorted(set(lab.on(host, command).stdout.split()) - NOT_OURS)
    # The bracket keeps pgrep's own shell out.
    return found + lab.on(host, "pgrep -af '[k]3s|[c]ontainerd' || true").stdout.splitlines()


def test_check_mode_works_on_hosts_without_anything(checked: Run) -> None:
    assert checked.status == 0, checked.output
    assert set(checked.changed) == {"cp-1", "cp-2"}
    assert "+secrets-encryption: true" in checked.output


def test_servers_join_the_first_one_after_the_other(lab: Lab, installed: Run) -> None:
    assert installed.status == 0
    assert lab.events() == [("start", name) for name in SERVERS]
    assert {node["role"] for node in lab.nodes().values()} == {"server"}


def test_tokens_are_generated_once_and_never_shown(lab: Lab, installed: Run) -> None:
    tokens = {path.name: path.read_text() for path in lab.credentials.glob("*-token")}
    assert set(tokens) == {"server-token", "agent-token"}
    assert all(len(token) == 48 for token in tokens.values())
    assert tokens["server-token"] != tokens["agent-token"]
    for path in lab.credentials.glob("*-token"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "TASK [titanium.platform.k3s : Write the tokens" in installed.output
    assert not any(token in installed.output for token in tokens.values())
    assert set(lab.on("cp-1", "stat --format %a /etc/rancher/k3s/*-token").stdout.split()) == {"600"}
    shown = lab.on("cp-1", "ps -e -o args; cat /etc/rancher/k3s/config.yaml /etc/systemd/system/k3s.service").stdout
    assert not any(token in shown for token in tokens.values())


def test_kubeconfig_leads_to_the_public_endpoint(lab: Lab, installed: Run) -> None:
    assert stat.S_IMODE(lab.kubeconfig.stat().st_mode) == 0o600
    content = yaml.safe_load(lab.kubeconfig.read_text())
    assert content["clusters"][0]["cluster"]["server"] == "https://api.example.org:6443"
    key = content["users"][0]["user"]["client-key-data"]
    assert key not in installed.output


def test_configuration_is_hardened(lab: Lab, installed: Run) -> None:
    assert installed.status == 0
    config = yaml.safe_load(lab.on("cp-1", "cat /etc/rancher/k3s/config.yaml").stdout)
    assert config["secrets-encryption"] is True
    assert config["protect-kernel-defaults"] is True
    assert config["disable"] == ["servicelb", "traefik"]
    assert "api.example.org" in config["tls-san"]
    assert config["cluster-init"] is True
    assert "server" not in config
    assert (
        yaml.safe_load(lab.on("cp-2", "cat /etc/rancher/k3s/config.yaml").stdout)["server"] == "https://10.99.0.10:6443"
    )


def test_a_second_run_adds_what_is_new_and_changes_nothing_else(lab: Lab, installed: Run) -> None:
    assert installed.status == 0
    lab.agents.append(lab.extra_hosts.pop())
    since = time.time()
    again = lab.must_play("cluster_k3s.yml")
    assert set(again.changed) == {"agent-1"}
    assert lab.events(since) == [("start", "agent-1")]
    # It knows no more than it must.
    known = lab.on("agent-1", "cat /etc/rancher/k3s/*-token").stdout
    assert known == (lab.credentials / "agent-token").read_text()


def test_a_wrong_checksum_is_refused(lab: Lab, installed: Run, mirror: str) -> None:
    assert installed.status == 0
    wrong = {NEW: {"amd64": "0" * 64}}
    for base in (mirror, f"file://{lab.releases}"):
        other = {"k3s_version": NEW, "k3s_checksums": wrong, "k3s_download_base": base}
        refused = lab.play("cluster_k3s.yml", "--limit", "cp-1", **other)
        assert refused.status != 0
        assert "was not installed" in refused.flat
        assert "Mend: k3s_download_base" in refused.flat
        assert lab.on("cp-1", f"ls /usr/local/lib/k3s/{NEW} || true").stdout == ""
    assert set(lab.versions().values()) == {OLD}


def test_what_cannot_be_is_refused_before_anything_changes(
    lab: Lab, installed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert installed.status == 0
    unknown = lab.play("cluster_k3s.yml", k3s_version="v1.35.99+k3s1")
    assert "no checksum is known of k3s v1.35.99+k3s1 for amd64" in unknown.flat
    assert "set k3s_checksums to" in unknown.flat
    skipping = {"v1.36.0+k3s1": {"amd64": "0" * 64}}
    skipped = lab.play("cluster_k3s.yml", k3s_version="v1.36.0+k3s1", k3s_checksums=skipping)
    assert "would skip a minor version" in skipped.flat
    monkeypatch.setattr(lab, "servers", SERVERS[:2])
    two = lab.play("cluster_k3s.yml")
    assert "2 servers: etcd needs a majority" in two.flat
    for run in (unknown, skipped, two):
        assert run.status != 0
        assert run.changed == {}


def test_an_upgrade_goes_node_by_node_and_stops_at_the_first_that_fails(lab: Lab, installed: Run, mirror: str) -> None:
    assert installed.status == 0
    lab.variables |= {"k3s_download_base": mirror, "k3s_version": NEW}
    lab.break_node("cp-2", NEW)
    since = time.time()
    failed = lab.play("upgrade_cluster.yml", k3s_wait_timeout=4)
    assert failed.status != 0
    assert f"cp-2 was not ready with {NEW} after 4 s" in failed.flat
    assert lab.events(since) == [
        ("snapshot", "cp-1"),
        *((event, "cp-1") for event in ("drain", "stop", "start", "uncordon")),
        *((event, "cp-2") for event in ("drain", "stop")),
    ]
    assert {name for name, version in lab.versions().items() if version == OLD} == {"cp-2", "cp-3", *lab.agents}

    lab.mend_node("cp-2")
    since = time.time()
    lab.must_play("upgrade_cluster.yml")
    assert lab.events(since) == [
        ("snapshot", "cp-1"),
        # Drained before: what is left to do is done.
        *((event, "cp-2") for event in ("start", "uncordon")),
        *((event, name) for name in ["cp-3", *lab.agents] for event in ("drain", "stop", "start", "uncordon")),
    ]
    assert set(lab.versions().values()) == {NEW}
    assert not any(node["unschedulable"] for node in lab.nodes().values())
    assert lab.on("cp-3", "ls /usr/local/lib/k3s").stdout.split() == [NEW]


def test_no_way_back(lab: Lab, installed: Run) -> None:
    assert installed.status == 0
    if set(lab.versions().values()) != {NEW}:
        pytest.skip("the upgrade was not run before")
    back = lab.play("cluster_k3s.yml", k3s_version=OLD)
    assert back.status != 0
    assert f"etcd does not go back to {OLD}" in back.flat


def test_edits_by_hand_are_shown_and_mended_and_lost_tokens_adopted(lab: Lab, installed: Run) -> None:
    assert installed.status == 0
    tokens = {path.name: path.read_text() for path in lab.credentials.glob("*-token")}
    for name in tokens:
        (lab.credentials / name).unlink()
    # Somebody edits a file by hand: it is shown, and taken back with the next run.
    lab.on("cp-1", "sed -i 's/^secrets-encryption: true/secrets-encryption: false/' /etc/rancher/k3s/config.yaml")
    shown = lab.must_play("cluster_k3s.yml", "--limit", "cp-1", "--check", "--diff")
    assert "-secrets-encryption: false" in shown.output
    assert "+secrets-encryption: true" in shown.output
    lab.variables["k3s_registries_mirror"] = "https://registry.example.org"
    images = lab.folder / "images.tar"
    images.write_text("layers")
    lab.variables["k3s_loaded_images"] = [str(images)]
    since = time.time()
    lab.must_play("cluster_k3s.yml", "--limit", "k3s_servers")
    assert lab.on("cp-1", "cat /var/lib/rancher/k3s/agent/images/images.tar").stdout == "layers"
    assert "secrets-encryption: true" in lab.on("cp-1", "cat /etc/rancher/k3s/config.yaml").stdout
    assert lab.events(since) == [(event, name) for name in SERVERS for event in ("stop", "start")]
    registries = yaml.safe_load(lab.on("cp-1", "cat /etc/rancher/k3s/registries.yaml").stdout)
    assert registries == {"mirrors": {"*": {"endpoint": ["https://registry.example.org"]}}}
    assert {path.name: path.read_text() for path in lab.credentials.glob("*-token")} == tokens


def test_our_double_is_no_cluster_of_this_machine(lab: Lab, installed: Run) -> None:
    assert installed.status == 0
    assert lab.on("cp-1", "pgrep --exact k3s").stdout
    assert not [problem for problem in foreign_cluster(lambda _: False) if ": k3s (" in problem]


def test_a_node_is_removed(lab: Lab, installed: Run) -> None:
    assert installed.status == 0
    nobody = lab.play("remove_node.yml", "-e", "node=agent-9")
    assert "Nothing was removed" in nobody.flat
    since = time.time()
    lab.must_play("remove_node.yml", "-e", "node=agent-1")
    assert lab.events(since) == [("drain", "agent-1"), ("delete", "agent-1"), ("stop", "agent-1")]
    assert "agent-1" not in lab.nodes()
    assert left_on(lab, "agent-1") == []
    lab.agents.remove("agent-1")


def test_a_machine_that_is_dead_is_removed(lab: Lab, installed: Run) -> None:
    assert installed.status == 0
    lab.hosts["cp-3"].kill()
    deadline = time.monotonic() + 20
    while "cp-3   NotReady" not in lab.on("cp-1", "k3s kubectl get nodes --no-headers").stdout:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    since = time.time()
    lab.must_play("remove_node.yml", "-e", "node=cp-3")
    assert lab.events(since) == [("delete", "cp-3")]
    lab.servers.remove("cp-3")


def test_uninstall_leaves_nothing(lab: Lab, installed: Run) -> None:
    assert installed.status == 0
    playbook = lab.folder / "uninstall.yml"
    playbook.write_text(UNINSTALL)
    lab.must_play(playbook)
    for host in [*lab.servers, *lab.agents]:
        assert left_on(lab, host) == []
    assert not lab.kubeconfig.exists()
    assert list(lab.credentials.iterdir()) == []
    assert lab.must_play(playbook).changed == {}
