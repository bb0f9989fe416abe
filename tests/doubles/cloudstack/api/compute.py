"""Keys, affinity groups, instances, volumes, tags."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
import uuid
from typing import Any

from tests.doubles.cloudstack.api import errors
from tests.doubles.cloudstack.api.cloud import GIB, Cloud, Entity
from tests.doubles.cloudstack.api.network import drop, source_nat
from tests.doubles.cloudstack.api.registry import Params, job, listing, sync, visible

# ---- keys


@sync("registerSSHKeyPair")
def register_ssh_key_pair(cloud: Cloud, params: Params) -> dict[str, Any]:
    name, key = params.need("name"), params.need("publickey")
    if name in cloud.keypairs:
        raise errors.invalid(f"A key pair with name '{name}' already exists.")
    digest = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
    fingerprint = ":".join(digest[i : i + 2] for i in range(0, 32, 2))
    cloud.keypairs[name] = {"id": str(uuid.uuid4()), "name": name, "fingerprint": fingerprint, "_publickey": key}
    return {"keypair": visible(cloud.keypairs[name])}


@sync("listSSHKeyPairs")
def list_ssh_key_pairs(cloud: Cloud, params: Params) -> dict[str, Any]:
    return listing(params, cloud.keypairs, "sshkeypair", "name")


@sync("deleteSSHKeyPair")
def delete_ssh_key_pair(cloud: Cloud, params: Params) -> dict[str, Any]:
    name = params.need("name")
    if name not in cloud.keypairs:
        raise errors.invalid(
            f"A key pair with name '{name}' does not exist for account titanium in specified domain id"
        )
    del cloud.keypairs[name]
    return {"success": "true"}


# ---- affinity groups


@job("createAffinityGroup", "affinitygroup")
def create_affinity_group(cloud: Cloud, params: Params) -> dict[str, Any]:
    name = params.need("name")
    if any(row["name"] == name for row in cloud.affinity_groups.values()):
        raise errors.invalid(f"Unable to create affinity group, a group with name {name} already exists.")
    row: Entity = {
        "id": str(uuid.uuid4()),
        "name": name,
        "type": params.need("type"),
        "description": params.get("description", name),
    }
    cloud.affinity_groups[row["id"]] = row
    return row


@sync("listAffinityGroups")
def list_affinity_groups(cloud: Cloud, params: Params) -> dict[str, Any]:
    return listing(params, cloud.affinity_groups, "affinitygroup", "name", "type")


@job("deleteAffinityGroup")
def delete_affinity_group(cloud: Cloud, params: Params) -> dict[str, Any]:
    row = params.entity(cloud.affinity_groups, "id")
    if any(row["id"] in vm["_affinity"] for vm in cloud.instances.values()):
        raise errors.invalid("Cannot delete affinity group when it's in use by virtual machines")
    del cloud.affinity_groups[row["id"]]
    return {}


# ---- instances


def _private_address(cloud: Cloud, network: Entity) -> str:
    taken = {vm["nic"][0]["ipaddress"] for vm in cloud.instances.values() if vm["_networkid"] == network["id"]}
    for address in ipaddress.ip_network(network["cidr"]).hosts():
        if str(address) != network["gateway"] and str(address) not in taken:
            return str(address)
    raise errors.ApiError(533, f"Insufficient address capacity in network {network['name']}", cscode=4390)


def add_instance(cloud: Cloud, name: str, network: Entity, offering: Entity, **more: Any) -> Entity:
    """Put an instance with its root volume into the cloud; `more` overrides fields."""
    source_nat(cloud, network)
    row: Entity = {
        "id": str(uuid.uuid4()),
        "name": name,
        "displayname": name,
        "state": "Running",
        "zoneid": network["zoneid"],
        "zonename": network["zonename"],
        "serviceofferingid": offering["id"],
        "serviceofferingname": offering["name"],
        "cpunumber": offering["cpunumber"],
        "memory": offering["memory"],
        "nic": [
            {
                "id": str(uuid.uuid4()),
                "networkid": network["id"],
                "ipaddress": _private_address(cloud, network),
                "isdefault": True,
            }
        ],
        "affinitygroup": [],
        "tags": [],
        "_networkid": network["id"],
        "_affinity": [],
        **more,
    }
    cloud.instances[row["id"]] = row
    return row


@job("deployVirtualMachine", "virtualmachine")
def deploy_virtual_machine(cloud: Cloud, params: Params) -> dict[str, Any]:
    zone = params.entity(cloud.zones, "zoneid")
    offering = params.entity(cloud.service_offerings, "serviceofferingid")
    template = params.entity(cloud.templates, "templateid")
    network = params.entity(cloud.networks, "networkids")
    name = params.get("name") or f"VM-{uuid.uuid4()}"
    if not re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?", name):
        raise errors.invalid(f"Invalid name. Vm name can contain ASCII letters, digits and hyphen: {name}")
    if any(vm["name"] == name and vm["_networkid"] == network["id"] for vm in cloud.instances.values()):
        raise errors.invalid(
            f"The vm with hostName {name} already exists in the network domain: {network['networkdomain']}; "
            f"network={network['name']}"
        )
    if template["zoneid"] != zone["id"]:
        raise errors.invalid(f"Template {template['name']} is not available in zone {zone['name']}")
    key = params.get("keypair", "")
    if key and key not in cloud.keypairs:
        raise errors.invalid(f"A key pair with name '{key}' was not found.")
    try:
        userdata = base64.b64decode(params.get("userdata", ""), validate=True).decode()
    except ValueError as error:
        raise errors.invalid("User data is not properly base64 encoded") from error
    groups: list[Entity] = []
    for group_id in params.listed("affinitygroupids"):
        if group_id not in cloud.affinity_groups:
            raise errors.unknown_entity(params.command, "affinitygroupids", group_id)
        groups.append(cloud.affinity_groups[group_id])
    cloud.claim(user_vm=1, volume=1, cpu=offering["cpunumber"], memory=offering["memory"])

    row = add_instance(
        cloud,
        name,
        network,
        offering,
        displayname=params.get("displayname", name),
        templateid=template["id"],
        templatename=template["name"],
        keypair=key,
        affinitygroup=groups,
        _affinity=[group["id"] for group in groups],
        _userdata=userdata,
    )
    for group in groups:
        members = [vm for vm in cloud.instances.values() if group["id"] in vm["_affinity"]]
        if group["type"] == "host anti-affinity" and len(members) > cloud.hosts:
            fail_start(row)
    fault = cloud.fault("deployVirtualMachine", params, in_job=True)
    if fault is not None:
        fail_start(row, fault.text)
    size = params.number("rootdisksize", 0) * GIB or template["size"]
    _add_volume(cloud, f"ROOT-{name}", "ROOT", size, zone, virtualmachineid=row["id"], deviceid=0)
    return visible(row)


def fail_start(row: Entity, text: str = "") -> None:
    """No hypervisor takes the instance: it stays behind in state Error. Raises ApiError 533."""
    row["state"] = "Error"
    raise errors.ApiError(
        533,
        text or f"Unable to orchestrate the start of VM instance {row['name']}: insufficient capacity",
        cscode=4390,
    )


@sync("listVirtualMachines")
def list_virtual_machines(cloud: Cloud, params: Params) -> dict[str, Any]:
    return listing(params, cloud.instances, "virtualmachine", "name", "zoneid", "state")


def _running(params: Params, cloud: Cloud, state: str) -> Entity:
    row = params.entity(cloud.instances, "id")
    if row["state"] not in ("Running", "Stopped"):
        raise errors.ApiError(530, f"Failed to bring instance {row['name']} from {row['state']} to {state}")
    row["state"] = state
    return visible(row)


@job("stopVirtualMachine", "virtualmachine")
def stop_virtual_machine(cloud: Cloud, params: Params) -> dict[str, Any]:
    return _running(params, cloud, "Stopped")


@job("startVirtualMachine", "virtualmachine")
def start_virtual_machine(cloud: Cloud, params: Params) -> dict[str, Any]:
    return _running(params, cloud, "Running")


def _stopped(cloud: Cloud, params: Params, what: str) -> Entity:
    row = params.entity(cloud.instances, "id")
    if row["state"] != "Stopped":
        raise errors.invalid(f"{what}: instance {row['name']} must be stopped, but is {row['state']}")
    return row


@sync("updateVirtualMachine")
def update_virtual_machine(cloud: Cloud, params: Params) -> dict[str, Any]:
    row = params.entity(cloud.instances, "id")
    row.update({name: params[name] for name in ("name", "displayname", "group") if name in params})
    if "userdata" in params:
        row["_userdata"] = base64.b64decode(params["userdata"]).decode()
    return {"virtualmachine": visible(row)}


@sync("changeServiceForVirtualMachine")
def change_service_for_virtual_machine(cloud: Cloud, params: Params) -> dict[str, Any]:
    row = _stopped(cloud, params, "Unable to change the service offering")
    offering = params.entity(cloud.service_offerings, "serviceofferingid")
    cloud.claim(cpu=offering["cpunumber"] - row["cpunumber"], memory=offering["memory"] - row["memory"])
    row.update(
        serviceofferingid=offering["id"],
        serviceofferingname=offering["name"],
        cpunumber=offering["cpunumber"],
        memory=offering["memory"],
    )
    return {"virtualmachine": visible(row)}


@job("resetSSHKeyForVirtualMachine", "virtualmachine")
def reset_ssh_key_for_virtual_machine(cloud: Cloud, params: Params) -> dict[str, Any]:
    row = _stopped(cloud, params, "Unable to reset the SSH key")
    row["keypair"] = params.need("keypair")
    return visible(row)


@job("updateVMAffinityGroup", "virtualmachine")
def update_vm_affinity_group(cloud: Cloud, params: Params) -> dict[str, Any]:
    row = _stopped(cloud, params, "Unable to change affinity groups")
    row["_affinity"] = params.listed("affinitygroupids")
    row["affinitygroup"] = [cloud.affinity_groups[group] for group in row["_affinity"]]
    return visible(row)


@job("destroyVirtualMachine", "virtualmachine")
def destroy_virtual_machine(cloud: Cloud, params: Params) -> dict[str, Any]:
    row = params.entity(cloud.instances, "id")
    row["state"] = "Destroyed"
    if params.flag("expunge"):
        expunge(cloud, row)
    return visible(row)


def expunge(cloud: Cloud, row: Entity) -> None:
    """Remove an instance for good: its root volume and rules go, data volumes stay, detached."""
    for volume in [v for v in cloud.volumes.values() if v.get("virtualmachineid") == row["id"]]:
        if volume["type"] == "ROOT":
            del cloud.volumes[volume["id"]]
        else:
            _detach(volume)
    drop(cloud.forwards, virtualmachineid=row["id"])
    for balancer in cloud.balancers.values():
        balancer["_members"] = [member for member in balancer["_members"] if member != row["id"]]
    del cloud.instances[row["id"]]


# ---- volumes


def _add_volume(cloud: Cloud, name: str, kind: str, size: int, zone: Entity, **more: Any) -> Entity:
    row: Entity = {
        "id": str(uuid.uuid4()),
        "name": name,
        "type": kind,
        "size": size,
        "zoneid": zone["id"],
        "zonename": zone["name"],
        "state": "Ready",
        "tags": [],
        **more,
    }
    cloud.volumes[row["id"]] = row
    return row


def _detach(volume: Entity) -> None:
    for name in ("virtualmachineid", "vmname", "deviceid"):
        volume.pop(name, None)


@job("createVolume", "volume")
def create_volume(cloud: Cloud, params: Params) -> dict[str, Any]:
    offering = params.entity(cloud.disk_offerings, "diskofferingid")
    zone = params.entity(cloud.zones, "zoneid")
    size = params.number("size", 0)
    if offering["iscustomized"] and size < 1:
        raise errors.invalid("This disk offering requires a custom size specified")
    if not offering["iscustomized"] and size:
        raise errors.invalid("This disk offering does not allow custom size")
    cloud.claim(volume=1)
    return _add_volume(
        cloud,
        params.need("name"),
        "DATADISK",
        (size or offering["disksize"]) * GIB,
        zone,
        diskofferingid=offering["id"],
        diskofferingname=offering["name"],
    )


@sync("listVolumes")
def list_volumes(cloud: Cloud, params: Params) -> dict[str, Any]:
    return listing(params, cloud.volumes, "volume", "name", "type", "virtualmachineid")


@job("attachVolume", "volume")
def attach_volume(cloud: Cloud, params: Params) -> dict[str, Any]:
    volume = params.entity(cloud.volumes, "id")
    instance = params.entity(cloud.instances, "virtualmachineid")
    if "virtualmachineid" in volume:
        raise errors.invalid(f"Volume {volume['name']} is already attached to a VM")
    used = {v["deviceid"] for v in cloud.volumes.values() if v.get("virtualmachineid") == instance["id"]}
    # CloudStack keeps device 3 for the CD drive.
    free = next(device for device in range(1, 16) if device != 3 and device not in used)
    volume.update(virtualmachineid=instance["id"], vmname=instance["name"], deviceid=params.number("deviceid", free))
    return volume


@job("detachVolume", "volume")
def detach_volume(cloud: Cloud, params: Params) -> dict[str, Any]:
    volume = params.entity(cloud.volumes, "id")
    if "virtualmachineid" not in volume:
        raise errors.invalid("The specified volume is not attached to a VM.")
    _detach(volume)
    return volume


@job("resizeVolume", "volume")
def resize_volume(cloud: Cloud, params: Params) -> dict[str, Any]:
    volume = params.entity(cloud.volumes, "id")
    size = params.number("size", volume["size"] // GIB) * GIB
    if size < volume["size"] and not params.flag("shrinkok"):
        raise errors.invalid(
            f"Going from existing size of {volume['size']} to size of {size} would shrink the volume."
            "Need to sign off by supplying the shrinkok parameter with value of true."
        )
    volume["size"] = size
    return volume


@sync("deleteVolume")
def delete_volume(cloud: Cloud, params: Params) -> dict[str, Any]:
    volume = params.entity(cloud.volumes, "id")
    if "virtualmachineid" in volume:
        raise errors.invalid("Please specify a volume that is not attached to any VM.")
    del cloud.volumes[volume["id"]]
    return {"success": "true"}


# ---- tags


def _tagged(cloud: Cloud, params: Params) -> list[Entity]:
    tables = {
        "network": cloud.networks,
        "publicipaddress": cloud.addresses,
        "uservm": cloud.instances,
        "volume": cloud.volumes,
    }
    kind = params.need("resourcetype").lower()
    if kind not in tables:
        raise errors.invalid(f"Invalid resourceType: {params['resourcetype']}")
    rows = []
    for row_id in params.listed("resourceids"):
        if row_id not in tables[kind]:
            raise errors.unknown_entity(params.command, "resourceids", row_id)
        rows.append(tables[kind][row_id])
    return rows


def _tags(params: Params) -> dict[str, str]:
    indices = sorted({match[1] for name in params if (match := re.fullmatch(r"tags\[(\d+)\]\.key", name))})
    return {params[f"tags[{i}].key"]: params.get(f"tags[{i}].value", "") for i in indices}


@job("createTags")
def create_tags(cloud: Cloud, params: Params) -> dict[str, Any]:
    for row in _tagged(cloud, params):
        kept = [tag for tag in row["tags"] if tag["key"] not in _tags(params)]
        row["tags"] = kept + [{"key": key, "value": value} for key, value in _tags(params).items()]
    return {}


@job("deleteTags")
def delete_tags(cloud: Cloud, params: Params) -> dict[str, Any]:
    for row in _tagged(cloud, params):
        row["tags"] = [tag for tag in row["tags"] if tag["key"] not in _tags(params)]
    return {}
