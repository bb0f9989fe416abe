"""Role solid_cloud and its inventory: from nothing to machines and back, and what stands in the way told in one line each."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyrage
import pytest

from tests.doubles.cloudstack.api.cloud import Fault
from tests.integration.solid_cloud.conftest import INVENTORY
from tests.integration.terraform.conftest import ROOT, SECRET_KEY
from tests.integration.terraform.test_errors import unused_port

if TYPE_CHECKING:
    from tests.doubles.cloudstack.api.cloud import Cloud
    from tests.integration.solid_cloud.conftest import Play, Site
    from tests.integration.terraform.conftest import Workspace

BIN = Path(sys.executable).parent
CLOUD = "playbooks/cloud.yml"
DESTROY = "playbooks/destroy.yml"
# The machines are records of a double: nobody logs in to them.
HERE = ("--limit", "localhost")
KEYS = ("api_url", "api_key", "secret_key")


@pytest.mark.timeout(900)
def test_from_nothing_to_nothing(site: Site, cloud: Cloud, workspace: Workspace) -> None:
    assert "titanium-worker-1" not in site.listed()["_meta"]["hostvars"]

    checked = site.must(CLOUD, "--check", "--diff", *HERE)
    assert checked.recap("changed") == 2, "machines, and a folder for what is kept here"
    assert r'"resource": "module.compute[0].cloudstack_instance.node[\"titanium-worker-2\"]"' in checked.output
    assert cloud.holdings() == {}

    # A failure half-way is told, and the next run goes on from there.
    text = "Unable to orchestrate the rule: no such luck"
    cloud.faults.append(Fault("createLoadBalancerRule", 530, text, in_job=True, match={"name": "titanium-api"}))
    failed = site.play(CLOUD, *HERE)
    assert failed.status != 0
    [line] = message(failed)
    assert text in line
    assert len(cloud.instances) == 3
    assert site.must(CLOUD, *HERE).recap("changed") == 2
    assert cloud.holdings()["instances"] == ["titanium-control-plane-1", "titanium-worker-1", "titanium-worker-2"]
    assert_inventory(site, workspace)

    before = len(cloud.commands(writing=True))
    again = site.must(CLOUD, *HERE)
    assert again.recap("changed") == 0, again.output
    assert len(cloud.commands(writing=True)) == before

    # What somebody took away by hand is shown, and comes back.
    rule = next(key for key, row in cloud.forwards.items() if row["publicport"] == "2221")
    del cloud.forwards[rule]
    shown = site.must(CLOUD, "--check", "--diff", *HERE)
    assert shown.recap("changed") == 1
    assert re.search(r'^\+ +"public_port": 2221', shown.output, re.MULTILINE), shown.output
    assert "2221" not in {row["publicport"] for row in cloud.forwards.values()}
    assert site.must(CLOUD, *HERE).recap("changed") == 1
    assert "2221" in {row["publicport"] for row in cloud.forwards.values()}
    before = len(cloud.commands(writing=True))

    refused = site.play(DESTROY)
    assert refused.status != 0
    assert "Nothing was destroyed. To give everything back but the data volumes" in refused.flat
    assert len(cloud.commands(writing=True)) == before

    volumes = {v["name"]: v["id"] for v in cloud.volumes.values() if v["name"].endswith("-data")}
    kept = site.must(DESTROY, "-e", "destroy_confirm=yes")
    assert set(cloud.holdings()) == {"volumes"}
    assert {v["name"]: v["id"] for v in cloud.volumes.values()} == volumes
    assert all(identifier in kept.output for identifier in volumes.values())

    # The next cluster takes them over, and with them everything can go.
    site.must(CLOUD, *HERE)
    data = {v["name"]: v for v in cloud.volumes.values() if v["name"].endswith("-data")}
    assert {name: volume["id"] for name, volume in data.items()} == volumes
    assert all("virtualmachineid" in volume for volume in data.values())
    site.must(DESTROY, "-e", "destroy_confirm=yes", "-e", "solid_cloud_delete_data=true")
    assert cloud.holdings() == {}
    assert "titanium-worker-1" not in site.listed()["_meta"]["hostvars"]
    left = [path.name for path in workspace.root.rglob("*.json") if ".terraform" not in path.parts]
    assert "kept-volumes.json" not in left
    assert not list(workspace.folder.rglob("delete-data_override.tf")), "data volumes are protected again"


def assert_inventory(site: Site, workspace: Workspace) -> None:
    """The inventory is what Terraform's output says, and nothing that somebody wrote down."""
    output = json.loads(workspace.run("terraform", "output", "-json", "inventory").output)
    listed = site.listed()
    assert listed["k3s_cluster"]["children"] == ["k3s_servers", "k3s_agents"]
    assert listed["k3s_servers"]["hosts"] == ["titanium-control-plane-1"]
    assert listed["k3s_agents"]["hosts"] == ["titanium-worker-1", "titanium-worker-2"]
    assert listed["platform"]["hosts"] == listed["cloud_controller"]["hosts"] == ["localhost"]
    assert sorted(listed["solid_cloud"]["hosts"]) == sorted(output["hosts"])
    for name, host in output["hosts"].items():
        variables = listed["_meta"]["hostvars"][name]
        assert variables["ansible_host"] == output["public_ip"]["address"]
        assert variables["ansible_port"] == host["ssh_port"]
        assert variables["ansible_user"] == output["ssh_user"]
        assert variables["terraform_host"] == host
        assert variables["terraform_inventory"] == output

    worker = output["hosts"]["titanium-worker-2"]
    serial = worker["data_volume"]["id"].replace("-", "")[:20]
    shown = site.resolved(
        "titanium-worker-2",
        *("k3s_node_ip", "k3s_api_endpoint", "k3s_registration_address"),
        *("data_volume_devices", "ansible_ssh_common_args", "blog_url"),
    )
    assert shown["k3s_node_ip"] == worker["private_ip"]
    assert shown["k3s_api_endpoint"] == output["public_ip"]["address"]
    assert shown["k3s_registration_address"] == output["hosts"]["titanium-control-plane-1"]["private_ip"]
    assert shown["data_volume_devices"][0] == f"/dev/disk/by-id/virtio-{serial}"
    assert f"HostKeyAlias={worker['id']}" in shown["ansible_ssh_common_args"]
    assert shown["blog_url"] == f"http://{output['public_ip']['address']}"


def refused(site: Site, cloud: Cloud, *arguments: str) -> list[str]:
    """The lines that the role refuses with; it must, and before it makes anything."""
    done = site.play(CLOUD, *HERE, *arguments)
    assert done.status != 0, done.output
    assert done.recap("changed") == 0
    assert cloud.commands(writing=True) == []
    assert SECRET_KEY not in done.output
    return message(done)


def message(done: Play) -> list[str]:
    """The lines of the failed task's message."""
    result = done.output.split("fatal: [localhost]: FAILED! => ")[-1]
    lines: list[str] = json.JSONDecoder().raw_decode(result)[0]["msg"]
    assert lines[0] == "Mend this first:"
    return lines[1:]


def test_missing_credentials(site: Site, cloud: Cloud) -> None:
    del site.environment["CLOUDSTACK_API_KEY"], site.environment["CLOUDSTACK_SECRET_KEY"]
    [line] = refused(site, cloud)
    assert line.startswith("not set in the environment: CLOUDSTACK_API_KEY, CLOUDSTACK_SECRET_KEY; ")


def test_wrong_secret(site: Site, cloud: Cloud) -> None:
    site.environment["CLOUDSTACK_SECRET_KEY"] = "wrong"
    [line] = refused(site, cloud)
    assert "refuses the credentials" in line
    assert "check CLOUDSTACK_API_KEY and CLOUDSTACK_SECRET_KEY" in line


def test_unreachable_api(site: Site, cloud: Cloud) -> None:
    url = f"http://127.0.0.1:{unused_port()}/client/api"
    site.environment["CLOUDSTACK_API_URL"] = url
    [line] = refused(site, cloud)
    assert line.startswith(f"the cloud at {url} cannot be reached (")


def test_unknown_names(site: Site, cloud: Cloud) -> None:
    site.variables |= {"template": "Windows", "workers": {"service_offering": "Huge"}}
    assert sorted(refused(site, cloud)) == [
        "unknown service offering 'Huge'; valid: 'Large Instance', 'Medium Instance', 'Small Instance'",
        "unknown template 'Windows'; valid in this zone: 'Debian 12', 'Ubuntu 24.04'",
    ]


def test_unknown_zone_with_keys_from_ansible_vault(site: Site, cloud: Cloud, tmp_path: Path) -> None:
    """The account's keys in a file that Ansible Vault encrypts, none in the environment: the cloud answers what it has."""
    password = tmp_path / "password"
    password.write_text("of the vault\n")
    vault = tmp_path / "vault.yml"
    vault.write_text(
        json.dumps({f"solid_cloud_{name}": site.environment.pop(f"CLOUDSTACK_{name.upper()}") for name in KEYS})
    )
    site.must_run("ansible-vault", "encrypt", "--vault-password-file", str(password), str(vault))
    assert SECRET_KEY not in vault.read_text()
    site.variables["zone"] = "zone-9"
    lines = refused(site, cloud, "-e", f"@{vault}", "--vault-password-file", str(password))
    assert lines == ["unknown zone 'zone-9'; valid: 'zone-1', 'zone-2'"]


def test_unknown_zone_with_keys_from_sops(site: Site, cloud: Cloud, tmp_path: Path) -> None:
    """The account's keys in a file of the inventory that SOPS encrypts, none in the environment: the cloud is asked with them."""
    identity = pyrage.x25519.Identity.generate()
    site.inventory = str(tmp_path / "clone" / INVENTORY)
    shutil.copytree(ROOT / INVENTORY, site.inventory)
    shutil.copy(ROOT / ".sops.yaml", tmp_path / "clone")
    keys = Path(site.inventory) / "group_vars/all/keys.sops.yml"
    content = {f"solid_cloud_{name}": site.environment.pop(f"CLOUDSTACK_{name.upper()}") for name in KEYS}
    keys.write_text(json.dumps(content))
    site.environment["SOPS_AGE_RECIPIENTS"] = str(identity.to_public())
    site.must_run("sops", "encrypt", "--in-place", str(keys))
    assert not any(value in keys.read_text() for value in content.values())

    site.environment["PATH"] = f"{BIN}:{site.environment['PATH']}"
    unread = site.play(CLOUD, *HERE)
    assert unread.status != 0
    assert "keys.sops.yml" in unread.flat
    assert cloud.calls == []

    site.environment["SOPS_AGE_KEY"] = str(identity)
    site.variables["zone"] = "zone-9"
    assert refused(site, cloud) == ["unknown zone 'zone-9'; valid: 'zone-1', 'zone-2'"]


def test_exceeded_quota(site: Site, cloud: Cloud) -> None:
    cloud.limits = {"user_vm": 2, "cpu": 9, "public_ip": 5}
    assert sorted(refused(site, cloud)) == [
        "quota: 10 more CPUs needed, but 9 of 9 are left; ask for more or plan less",
        "quota: 3 more instances needed, but 2 of 2 are left; ask for more or plan less",
    ]


def test_wrong_variables(site: Site, cloud: Cloud) -> None:
    """Terraform's framed and wrapped messages are a line each."""
    site.variables |= {
        "admin_cidrs": ["0.0.0.0/0"],
        "control_plane": {"service_offering": "Medium Instance", "count": 2},
    }
    lines = refused(site, cloud)
    assert len(lines) == 2
    assert any("would open SSH and the Kubernetes API to the Internet" in line for line in lines)
    assert any("control_plane.count is 1, 3 or 5, not 2" in line for line in lines)


def test_what_is_not_filled_in_is_named(site: Site) -> None:
    done = site.run("ansible-playbook", "-i", INVENTORY, CLOUD, *HERE)
    assert done.status != 0
    assert "zone is not filled in: inventories/solid-cloud/group_vars/all/machines.yml" in done.flat


def test_contract_of_another_version_is_refused(site: Site, workspace: Workspace) -> None:
    (workspace.root / "terraform.tfstate").write_text(
        json.dumps(
            {
                "version": 4,
                "terraform_version": "1.10.0",
                "serial": 1,
                "lineage": "b9f3c0de-0000-4000-8000-000000000000",
                "outputs": {
                    "inventory": {"value": {"schema_version": 2}, "type": ["object", {"schema_version": "number"}]}
                },
                "resources": [],
            }
        )
    )
    done = site.run("ansible-inventory", "-i", INVENTORY, "--list")
    assert done.status != 0
    assert "has schema_version 2, this inventory plugin reads 1" in done.flat
