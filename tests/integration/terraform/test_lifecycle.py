"""A cluster's life: made, left alone, changed, replaced, made again after a failure, taken down."""

from __future__ import annotations

import json
import re
import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from tests.doubles.cloudstack.api.cloud import GIB, Cloud, Fault
from tests.integration.terraform.conftest import ENVIRONMENT, PUBLIC_KEY, ROOT, SECRET_KEY, connected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.terraform.conftest import Workspace

CONTRACT = json.loads((ROOT / "terraform" / ENVIRONMENT / "inventory.schema.json").read_text())


def open_ports(cloud: Cloud) -> dict[str, set[int]]:
    """Public ports by who may reach them."""
    ports: dict[str, set[int]] = {}
    for rule in cloud.firewall_rules.values():
        ports.setdefault(rule["cidrlist"], set()).update(range(rule["startport"], rule["endport"] + 1))
    return ports


@pytest.fixture(scope="module")
def made(
    initialised: Path, terraform_config: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Cloud]]:
    """A cluster that was made once: Terraform's state of it, and the cloud that has it."""
    cloud = Cloud("key-of-the-account", SECRET_KEY)
    with connected(initialised, terraform_config, cloud, tmp_path_factory.mktemp("made")) as workspace:
        workspace.must_apply()
        yield workspace.root / "terraform.tfstate", cloud


@pytest.fixture
def cluster(made: tuple[Path, Cloud], workspace: Workspace, cloud: Cloud) -> Workspace:
    """That cluster, as if the test had made it."""
    state, original = made
    shutil.copy(state, workspace.root)
    cloud.become(original)
    return workspace


def test_from_nothing_to_nothing(workspace: Workspace, cloud: Cloud) -> None:
    workspace.must_apply()

    held = cloud.holdings()
    assert held["instances"] == ["titanium-control-plane-1", "titanium-worker-1", "titanium-worker-2"]
    assert held["volumes"][-2:] == ["titanium-worker-1-data", "titanium-worker-2-data"]
    assert len(held["addresses"]) == 1, "one public address serves in both directions"
    assert open_ports(cloud) == {"203.0.113.0/24": {6443, 2201, 2221, 2222}, "0.0.0.0/0": {80, 443}}
    assert {r["startport"] for r in cloud.egress_rules.values() if r["protocol"] == "tcp"} == {53, 80, 443}
    assert {r["startport"] for r in cloud.egress_rules.values() if r["protocol"] == "udp"} == {53, 123}
    workers = {cloud.named(cloud.instances, f"titanium-worker-{n}")["id"] for n in (1, 2)}
    assert set(cloud.named(cloud.balancers, "titanium-web-443")["_members"]) == workers
    group = cloud.named(cloud.affinity_groups, "titanium-worker")
    assert all(group["id"] in cloud.instances[worker]["_affinity"] for worker in workers)

    userdata = cloud.named(cloud.instances, "titanium-worker-1")["_userdata"]
    assert userdata.startswith("#cloud-config\n")
    for line in ("ssh_pwauth: false", "disable_root: true", "PermitRootLogin no", PUBLIC_KEY):
        assert line in userdata

    before = len(cloud.commands(writing=True))
    workspace.must_be_settled()
    workspace.must_apply()
    assert len(cloud.commands(writing=True)) == before
    assert_contract(workspace, cloud)

    workspace.allow_deleting_data()
    done = workspace.destroy()
    assert done.status == 0, done.output
    assert cloud.holdings() == {}
    assert workspace.addresses() == []


def assert_contract(workspace: Workspace, cloud: Cloud) -> None:
    """The output is what its schema says and what the cloud has, and holds no secret."""
    inventory = workspace.inventory()
    jsonschema.validate(inventory, CONTRACT, cls=jsonschema.Draft202012Validator)

    address = next(iter(cloud.addresses.values()))["ipaddress"]
    assert inventory["public_ip"]["address"] == inventory["api"]["host"] == address
    for name, host in inventory["hosts"].items():
        instance = cloud.named(cloud.instances, name)
        assert host["private_ip"] == instance["nic"][0]["ipaddress"]
        [forward] = [f for f in cloud.forwards.values() if f["virtualmachineid"] == instance["id"]]
        assert (forward["publicport"], forward["privateport"]) == (str(host["ssh_port"]), "22")
        if host["role"] == "worker":
            assert cloud.volumes[host["data_volume"]["id"]]["virtualmachineid"] == instance["id"]

    everything = (workspace.root / "terraform.tfstate").read_text() + json.dumps(inventory)
    assert SECRET_KEY not in everything
    assert "PRIVATE KEY" not in everything


def test_change_in_place_touches_only_what_changed(cluster: Workspace, cloud: Cloud) -> None:
    ids = {vm["name"]: vm["id"] for vm in cloud.instances.values()}
    cluster.variables["workers"] = {"service_offering": "Medium Instance", "data_volume_gb": 80}
    cluster.variables["admin_cidrs"] = ["203.0.113.0/24", "192.0.2.7/32"]
    cloud.calls.clear()

    cluster.must_apply()

    assert {vm["name"]: vm["id"] for vm in cloud.instances.values()} == ids
    assert cloud.named(cloud.instances, "titanium-worker-2")["serviceofferingname"] == "Medium Instance"
    assert cloud.named(cloud.volumes, "titanium-worker-2-data")["size"] == 80 * GIB
    stopped = {params["id"] for command, params in cloud.calls if command == "stopVirtualMachine"}
    assert stopped == {ids["titanium-worker-1"], ids["titanium-worker-2"]}
    assert all(vm["state"] == "Running" for vm in cloud.instances.values())
    assert open_ports(cloud)["192.0.2.7/32,203.0.113.0/24"] == {6443, 2201, 2221, 2222}
    assert open_ports(cloud)["0.0.0.0/0"] == {80, 443}
    cluster.must_be_settled()


def test_nodes_are_added_and_removed_without_touching_others(workspace: Workspace, cloud: Cloud) -> None:
    workspace.variables["workers"] = {"service_offering": "Large Instance", "data_volume_gb": 0}
    workspace.must_apply()
    ids = {vm["id"] for vm in cloud.instances.values()}

    workspace.variables["workers"] = {"service_offering": "Large Instance", "data_volume_gb": 0, "count": 3}
    workspace.must_apply()
    assert ids < {vm["id"] for vm in cloud.instances.values()}
    assert len(cloud.named(cloud.balancers, "titanium-web-80")["_members"]) == 3

    workspace.variables["workers"] = {"service_offering": "Large Instance", "data_volume_gb": 0, "count": 2}
    workspace.must_apply()
    assert {vm["id"] for vm in cloud.instances.values()} == ids
    assert len(cloud.forwards) == 3


def test_replaced_node_gets_its_data_back(cluster: Workspace, cloud: Cloud) -> None:
    volume = cloud.named(cloud.volumes, "titanium-worker-1-data")["id"]
    old = cloud.named(cloud.instances, "titanium-worker-1")["id"]
    other = cloud.named(cloud.instances, "titanium-worker-2")["id"]

    cluster.must_apply('-replace=module.compute[0].cloudstack_instance.node["titanium-worker-1"]')

    new = cloud.named(cloud.instances, "titanium-worker-1")["id"]
    assert new != old
    assert cloud.named(cloud.instances, "titanium-worker-2")["id"] == other
    assert cloud.volumes[volume]["virtualmachineid"] == new
    assert new in cloud.named(cloud.balancers, "titanium-web-80")["_members"]
    assert old not in {forward["virtualmachineid"] for forward in cloud.forwards.values()}
    cluster.must_be_settled()


def test_another_template_replaces_instances_and_new_first_boot_text_does_not(cluster: Workspace) -> None:
    cluster.variables["ssh_user"] = "admin"
    assert cluster.planned() == {}, "cloud-init reads it at first boot only"
    cluster.variables["template"] = "Debian 12"
    plan = cluster.planned()
    assert len(plan["delete+create"]) == 3
    assert all("cloudstack_instance.node" in address for address in plan["delete+create"])
    assert "delete" not in plan


def test_rules_opened_by_hand_are_closed_again(cluster: Workspace, cloud: Cloud) -> None:
    address = next(iter(cloud.addresses))
    cloud.firewall_rules["by-hand"] = {
        "id": "by-hand",
        "protocol": "tcp",
        "ipaddressid": address,
        "cidrlist": "0.0.0.0/0",
        "startport": 22,
        "endport": 22,
        "state": "Active",
    }
    assert cluster.planned() == {"update": ["module.firewall[0].cloudstack_firewall.this"]}
    cluster.must_apply()
    assert "by-hand" not in cloud.firewall_rules
    assert len(cloud.firewall_rules) == 6


FAILURES = [
    pytest.param([Fault("associateIpAddress", 533, "Insufficient address capacity", in_job=True)], id="address"),
    pytest.param([Fault("createEgressFirewallRule", text="No egress", skip=2, in_job=True)], id="way out"),
    pytest.param(
        [Fault("deployVirtualMachine", text="No deploying", skip=1), Fault("createTags", text="No tags", skip=1)],
        id="instances",
    ),
    pytest.param(
        [
            Fault("createPortForwardingRule", text="No forwarding", skip=1, in_job=True),
            Fault("createFirewallRule", text="No rule", skip=2, in_job=True),
            Fault("assignToLoadBalancerRule", text="No balancing", skip=1, in_job=True),
        ],
        id="rules",
    ),
]


@pytest.mark.parametrize("faults", FAILURES)
def test_failure_half_way_is_resumed_by_the_next_apply(workspace: Workspace, cloud: Cloud, faults: list[Fault]) -> None:
    workspace.allow_deleting_data()
    cloud.faults += [replace(fault) for fault in faults]
    failed = workspace.apply()
    assert failed.status == 1
    for fault in faults:
        assert failed.flat.count(fault.text) == 1, failed.output

    workspace.must_apply()
    held = cloud.holdings()
    assert len(held["instances"]) == 3
    assert len(held["volumes"]) == 5
    assert len(held["addresses"]) == 1
    assert len(held["forwards"]) == 3
    assert len(held["firewall_rules"]) == 6
    assert len(held["egress_rules"]) == 5

    assert workspace.destroy().status == 0
    assert cloud.holdings() == {}


def test_volume_that_was_not_attached_is_never_made_anew(workspace: Workspace, cloud: Cloud) -> None:
    cloud.faults.append(Fault("attachVolume", text="No attaching", skip=1, in_job=True))
    assert "No attaching" in workspace.apply().flat
    volumes = set(cloud.volumes)
    refused = workspace.apply()
    assert refused.status == 1
    assert "prevent_destroy" in refused.flat
    [tainted] = re.findall(r"Resource (\S+cloudstack_disk\S+) has", refused.flat)
    workspace.terraform_lines("untaint", tainted)
    workspace.must_apply()
    assert set(cloud.volumes) == volumes
    assert all("virtualmachineid" in volume for volume in cloud.volumes.values())


def test_failed_change_is_resumed(cluster: Workspace, cloud: Cloud) -> None:
    cluster.variables["workers"] = {"service_offering": "Medium Instance"}
    cloud.faults.append(Fault("changeServiceForVirtualMachine", 530, "Internal error"))
    assert cluster.apply().status == 1
    cluster.must_apply()
    assert {vm["serviceofferingname"] for vm in cloud.instances.values()} == {"Medium Instance"}
    assert {vm["state"] for vm in cloud.instances.values()} == {"Running"}


def test_failed_destroy_is_resumed(cluster: Workspace, cloud: Cloud) -> None:
    cluster.allow_deleting_data()
    cloud.faults.append(Fault("destroyVirtualMachine", 530, "Internal error", in_job=True))
    assert cluster.destroy().status == 1
    assert cluster.addresses(), "what is left is still known"
    assert cluster.destroy().status == 0
    assert cloud.holdings() == {}
    assert cluster.addresses() == []


def test_data_is_not_destroyed_by_accident_and_can_be_kept(cluster: Workspace, cloud: Cloud) -> None:
    before = len(cloud.commands(writing=True))
    refused = cluster.destroy()
    assert refused.status == 1
    assert "prevent_destroy" in refused.flat
    assert len(cloud.commands(writing=True)) == before, "nothing else is touched either"

    kept = [address for address in cluster.addresses() if ".cloudstack_disk.data[" in address]
    cluster.terraform_lines("state", "rm", *kept)
    done = cluster.destroy()
    assert done.status == 0, done.output
    assert cloud.holdings() == {"volumes": ["titanium-worker-1-data", "titanium-worker-2-data"]}
    assert all("virtualmachineid" not in volume for volume in cloud.volumes.values())

    kept_ids = {volume["name"].removesuffix("-data"): volume["id"] for volume in cloud.volumes.values()}
    cluster.variables["existing_volumes"] = kept_ids
    cluster.must_apply()
    for name, volume_id in kept_ids.items():
        instance = cloud.named(cloud.instances, name)
        assert cloud.volumes[volume_id]["virtualmachineid"] == instance["id"]
    assert len(cloud.volumes) == 5


def test_slow_jobs_are_waited_for(workspace: Workspace, cloud: Cloud) -> None:
    workspace.variables["workers"] = {"service_offering": "Large Instance", "count": 0}
    cloud.job_seconds = 0.4
    started = time.monotonic()
    workspace.must_apply()
    assert time.monotonic() - started > 1.5, "network, address, instance, rules: one after another"
    assert cloud.commands().count("queryAsyncJobResult") > len(cloud.jobs)


def test_rate_limit_is_reported_and_the_next_apply_goes_on(workspace: Workspace, cloud: Cloud) -> None:
    cloud.rate_limit = (25, 3600)
    failed = workspace.apply()
    assert failed.status == 1
    assert "CloudStack API error 429" in failed.flat
    assert "api limit, please retry after" in failed.flat
    cloud.rate_limit = None
    workspace.must_apply()
    assert len(cloud.instances) == 3


def test_managed_cluster_instead_of_instances(workspace: Workspace, cloud: Cloud) -> None:
    workspace.variables |= {
        "mode": "managed",
        "template": None,
        "kubernetes_version": "v1.32.5-calico",
        "managed_api_is_public": True,
    }
    workspace.must_apply()
    workspace.must_be_settled()
    inventory: dict[str, Any] = workspace.inventory()
    jsonschema.validate(inventory, CONTRACT, cls=jsonschema.Draft202012Validator)
    cluster = cloud.named(cloud.clusters, "titanium")
    assert inventory["managed_cluster_id"] == cluster["id"]
    assert inventory["api"] == {"host": cluster["ipaddress"], "port": 6443}
    assert inventory["hosts"] == {}
    assert len(cloud.instances) == 3

    workspace.variables |= {
        "kubernetes_version": "v1.33.1-calico",
        "workers": {"service_offering": "Large Instance", "count": 3},
    }
    workspace.must_apply()
    assert cloud.named(cloud.clusters, "titanium")["id"] == cluster["id"]
    assert len(cloud.instances) == 4

    assert workspace.destroy().status == 0
    assert cloud.holdings() == {}
