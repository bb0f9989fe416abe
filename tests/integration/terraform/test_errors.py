"""What goes wrong is told in one clear line, and nothing is made that is not remembered."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.doubles.cloudstack.api.cloud import Cloud, Fault
from tests.integration.terraform.conftest import SECRET_KEY

if TYPE_CHECKING:
    from tests.integration.terraform.conftest import Workspace


def preflight(workspace: Workspace, *arguments: str) -> list[str]:
    """Problems that the preflight check tells, one a line; it must find some."""
    done = workspace.run("./preflight.py", *arguments)
    assert done.status == 1, done.output
    assert SECRET_KEY not in done.output
    lines = done.output.splitlines()
    assert all(line.startswith("preflight: ") for line in lines), done.output
    return [line.removeprefix("preflight: ") for line in lines]


def unused_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_good_plan_passes(workspace: Workspace, cloud: Cloud) -> None:
    done = workspace.run("./preflight.py")
    assert done.status == 0, done.output
    assert done.output == "preflight: good; 15 to create, 0 to change, 0 to delete\n"
    assert cloud.holdings() == {}

    listed = workspace.run("./preflight.py", "--list").output
    assert "zone 'zone-2'" in listed
    assert "  template 'Debian 12'" in listed
    assert "service offering 'Large Instance': 4 CPUs, 8192 MiB" in listed


def test_unknown_names_come_with_the_valid_ones_all_at_once(workspace: Workspace) -> None:
    workspace.variables |= {
        "template": "Windows",
        "workers": {"service_offering": "Huge"},
        "data_disk_offering": "Gold",
        "network_offering": "Isolated",
    }
    assert sorted(preflight(workspace)) == [
        "unknown disk offering 'Gold'; valid: 'Custom', 'Medium'",
        "unknown network offering 'Isolated'; valid: 'DefaultIsolatedNetworkOfferingWithSourceNatService', "
        "'DefaultSharedNetworkOffering', 'IsolatedOpenEgress'",
        "unknown service offering 'Huge'; valid: 'Large Instance', 'Medium Instance', 'Small Instance'",
        "unknown template 'Windows'; valid in this zone: 'Debian 12', 'Ubuntu 24.04'",
    ]

    workspace.variables["zone"] = "zone-9"
    assert "unknown zone 'zone-9'; valid: 'zone-1', 'zone-2'" in preflight(workspace)


def test_unknown_kubernetes_version(workspace: Workspace) -> None:
    workspace.variables |= {"mode": "managed", "managed_api_is_public": True, "kubernetes_version": "v1.2.3"}
    assert preflight(workspace) == [
        "unknown Kubernetes version 'v1.2.3'; valid in this zone: 'v1.32.5-calico', 'v1.33.1-calico'"
    ]


@pytest.mark.parametrize(
    ("offering", "line"),
    [
        ("DefaultSharedNetworkOffering", "makes shared networks; an isolated one is needed"),
        ("IsolatedOpenEgress", "lets everything out, so egress_rules would be what is blocked"),
    ],
)
def test_unfit_network_offerings(workspace: Workspace, offering: str, line: str) -> None:
    workspace.variables["network_offering"] = offering
    [problem] = preflight(workspace)
    assert problem.startswith(f"network offering '{offering}' {line}")


def test_missing_credentials(workspace: Workspace) -> None:
    del workspace.environment["CLOUDSTACK_API_KEY"], workspace.environment["CLOUDSTACK_SECRET_KEY"]
    [line] = preflight(workspace)
    assert line.startswith("not set in the environment: CLOUDSTACK_API_KEY, CLOUDSTACK_SECRET_KEY; ")
    refused = workspace.apply()
    assert refused.status == 1
    assert "'api_url', 'api_key' and 'secret_key' should all have values" in refused.flat


def test_wrong_credentials(workspace: Workspace, cloud: Cloud) -> None:
    workspace.environment["CLOUDSTACK_SECRET_KEY"] = "wrong"
    [line] = preflight(workspace)
    assert "refuses the credentials" in line
    assert "check CLOUDSTACK_API_KEY and CLOUDSTACK_SECRET_KEY" in line
    refused = workspace.apply()
    assert refused.status == 1
    assert "unable to verify user credentials and/or request signature" in refused.flat
    assert workspace.addresses() == []
    assert cloud.calls == []


def test_unreachable_api(workspace: Workspace) -> None:
    url = f"http://127.0.0.1:{unused_port()}/client/api"
    workspace.environment["CLOUDSTACK_API_URL"] = url
    [line] = preflight(workspace)
    assert line.startswith(f"the cloud at {url} cannot be reached (")
    refused = workspace.apply()
    assert refused.status == 1
    assert "connection refused" in refused.flat


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("cloud.example.com", "CLOUDSTACK_API_URL 'cloud.example.com' is not a URL"),
        ("{base}/docs", "does not answer like a CloudStack API; the address usually ends in /client/api"),
    ],
)
def test_wrong_address(workspace: Workspace, url: str, problem: str) -> None:
    base = workspace.environment["CLOUDSTACK_API_URL"].removesuffix("/client/api")
    workspace.environment["CLOUDSTACK_API_URL"] = url.format(base=base)
    [line] = preflight(workspace, "--list")
    assert problem in line


def test_limited_rate(workspace: Workspace, cloud: Cloud) -> None:
    cloud.rate_limit = (1, 3600)
    [line] = preflight(workspace)
    assert line.startswith("the cloud limits the rate of calls (")


def test_exceeded_quota(workspace: Workspace, cloud: Cloud) -> None:
    cloud.limits = {"user_vm": 2, "cpu": 9, "public_ip": 5}
    assert sorted(preflight(workspace)) == [
        "quota: 10 more CPUs needed, but 9 of 9 are left; ask for more or plan less",
        "quota: 3 more instances needed, but 2 of 2 are left; ask for more or plan less",
    ]

    # And without the check: what was made is remembered, and goes again.
    workspace.allow_deleting_data()
    refused = workspace.apply()
    assert refused.status == 1
    assert "CloudStack API error 535" in refused.flat
    assert "Maximum amount of resources of Type = 'user_vm'" in refused.flat
    assert len(cloud.instances) == 2
    assert workspace.destroy().status == 0
    assert cloud.holdings() == {}


def test_unknown_zone_makes_nothing_in_the_cloud_that_is_forgotten(workspace: Workspace, cloud: Cloud) -> None:
    workspace.variables["zone"] = "zone-9"
    refused = workspace.apply()
    assert refused.status == 1
    assert "Error retrieving ID of zone zone-9: No match found for zone-9" in refused.flat
    assert set(cloud.holdings()) == {"affinity_groups", "keypairs"}, "they are in no zone"
    assert workspace.destroy().status == 0
    assert cloud.holdings() == {}


def test_instance_without_room_is_found_by_the_next_check(workspace: Workspace, cloud: Cloud) -> None:
    text = "Unable to orchestrate the start of VM instance: no suitable host"
    cloud.faults.append(Fault("deployVirtualMachine", 533, text, in_job=True, match={"name": "titanium-worker-2"}))
    failed = workspace.apply()
    assert failed.status == 1
    assert text in failed.flat
    broken = cloud.named(cloud.instances, "titanium-worker-2")
    assert broken["state"] == "Error"

    # The provider does not know the instance that CloudStack left behind, so its name is in the way.
    [line] = preflight(workspace)
    assert line.startswith(f"instance 'titanium-worker-2' exists already in state Error (ID {broken['id']})")
    assert "already exists in the network domain" in workspace.apply().flat

    del cloud.instances[broken["id"]]
    workspace.must_apply()


def test_strict_anti_affinity_needs_a_host_for_each_node(workspace: Workspace, cloud: Cloud) -> None:
    cloud.hosts = 1
    failed = workspace.apply()
    assert failed.status == 1
    assert "insufficient capacity" in failed.flat


def test_kept_volumes_are_pointed_out(workspace: Workspace, cloud: Cloud) -> None:
    cloud.volumes["kept"] = {"id": "kept", "name": "titanium-worker-1-data", "type": "DATADISK", "state": "Ready"}
    [line] = preflight(workspace)
    assert line.startswith("volume 'titanium-worker-1-data' exists already in state Ready (ID kept)")


def test_admin_ports_are_never_open_to_everyone(workspace: Workspace, cloud: Cloud) -> None:
    workspace.variables["admin_cidrs"] = ["0.0.0.0/0"]
    refused = workspace.terraform("plan", "-input=false")
    assert refused.status == 1
    assert "0.0.0.0/0 would open SSH and the Kubernetes API to the Internet" in refused.flat

    del workspace.variables["admin_cidrs"]
    refused = workspace.terraform("plan", "-input=false")
    assert refused.status == 1
    assert 'The root module input variable "admin_cidrs" is not set, and has no default value' in refused.flat
    assert cloud.commands(writing=True) == []
