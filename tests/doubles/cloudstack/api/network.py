"""Networks, addresses and the rules on them."""

from __future__ import annotations

import ipaddress
import uuid
from typing import TYPE_CHECKING, Any

from tests.doubles.cloudstack.api import errors
from tests.doubles.cloudstack.api.registry import Params, job, listing, sync, visible

if TYPE_CHECKING:
    from tests.doubles.cloudstack.api.cloud import Cloud, Entity, Table

# ---- networks


@sync("createNetwork")
def create_network(cloud: Cloud, params: Params) -> dict[str, Any]:
    zone = params.entity(cloud.zones, "zoneid")
    offering = params.entity(cloud.network_offerings, "networkofferingid")
    if offering["guestiptype"] != "Isolated":
        raise errors.invalid("Shared network can be created by an administrator only")
    cidr = ipaddress.ip_network(f"{params.need('gateway')}/{params.need('netmask')}", strict=False)
    cloud.claim(network=1)
    row: Entity = {
        "id": str(uuid.uuid4()),
        "name": params.need("name"),
        "displaytext": params.get("displaytext", params["name"]),
        "cidr": str(cidr),
        "gateway": params["gateway"],
        "netmask": params["netmask"],
        "networkdomain": params.get("networkdomain", "cs1cloud.internal"),
        "zoneid": zone["id"],
        "zonename": zone["name"],
        "networkofferingid": offering["id"],
        "networkofferingname": offering["name"],
        "state": "Allocated",
        "tags": [],
    }
    cloud.networks[row["id"]] = row
    return {"network": visible(row)}


@sync("listNetworks")
def list_networks(cloud: Cloud, params: Params) -> dict[str, Any]:
    return listing(params, cloud.networks, "network", "name", "zoneid")


@job("updateNetwork", "network")
def update_network(cloud: Cloud, params: Params) -> dict[str, Any]:
    row = params.entity(cloud.networks, "id")
    for name in ("name", "displaytext", "networkdomain"):
        if name in params:
            row[name] = params[name]
    if "networkofferingid" in params:
        offering = params.entity(cloud.network_offerings, "networkofferingid")
        row["networkofferingid"], row["networkofferingname"] = offering["id"], offering["name"]
    return visible(row)


@job("deleteNetwork")
def delete_network(cloud: Cloud, params: Params) -> dict[str, Any]:
    row = params.entity(cloud.networks, "id")
    if any(vm["_networkid"] == row["id"] for vm in cloud.instances.values()):
        raise errors.ApiError(530, "Failed to delete network: instances still have addresses in it")
    for address in [a for a in cloud.addresses.values() if a["associatednetworkid"] == row["id"]]:
        release(cloud, address)
    drop(cloud.egress_rules, networkid=row["id"])
    del cloud.networks[row["id"]]
    return {}


# ---- public addresses


def associate(cloud: Cloud, network: Entity) -> Entity:
    """Give the network an address; its first one becomes the source NAT address."""
    cloud.claim(public_ip=1)
    held = [a for a in cloud.addresses.values() if a["associatednetworkid"] == network["id"]]
    row: Entity = {
        "id": str(uuid.uuid4()),
        "ipaddress": cloud.next_public_ip(),
        "associatednetworkid": network["id"],
        "zoneid": network["zoneid"],
        "zonename": network["zonename"],
        "issourcenat": not any(a["issourcenat"] for a in held),
        "state": "Allocated",
        "tags": [],
    }
    cloud.addresses[row["id"]] = row
    network["state"] = "Implemented"
    return row


def source_nat(cloud: Cloud, network: Entity) -> Entity:
    """The network's source NAT address, made if there is none yet."""
    for address in cloud.addresses.values():
        if address["associatednetworkid"] == network["id"] and address["issourcenat"]:
            return address
    return associate(cloud, network)


def release(cloud: Cloud, address: Entity) -> None:
    """Take an address back, with every rule on it."""
    for table in (cloud.firewall_rules, cloud.forwards):
        drop(table, ipaddressid=address["id"])
    drop(cloud.balancers, publicipid=address["id"])
    del cloud.addresses[address["id"]]


def drop(table: Table, **fields: str) -> None:
    """Remove the rows with these values."""
    for row in [r for r in table.values() if all(r[name] == value for name, value in fields.items())]:
        del table[row["id"]]


@job("associateIpAddress", "ipaddress")
def associate_ip_address(cloud: Cloud, params: Params) -> dict[str, Any]:
    return visible(associate(cloud, params.entity(cloud.networks, "networkid")))


@sync("listPublicIpAddresses")
def list_public_ip_addresses(cloud: Cloud, params: Params) -> dict[str, Any]:
    return listing(params, cloud.addresses, "publicipaddress", "associatednetworkid")


@job("disassociateIpAddress")
def disassociate_ip_address(cloud: Cloud, params: Params) -> dict[str, Any]:
    row = params.entity(cloud.addresses, "id")
    if row["issourcenat"]:
        raise errors.invalid(f"ip id={row['id']} is used for source nat purposes and can not be disassociated.")
    release(cloud, row)
    return {}


# ---- rules


def _ports(params: Params) -> tuple[int, int]:
    start = params.number("startport")
    end = params.number("endport", start)
    if not 1 <= start <= end <= 65535:
        raise errors.invalid(f"Invalid port range {start}-{end}")
    return start, end


def _filter_rule(params: Params, table: Table, scope: str, scope_id: str, cidrs: str) -> Entity:
    protocol = params.need("protocol").lower()
    row: Entity = {"id": str(uuid.uuid4()), "protocol": protocol, scope: scope_id, "cidrlist": cidrs, "state": "Active"}
    if protocol in ("tcp", "udp"):
        row["startport"], row["endport"] = _ports(params)
    for other in table.values():
        if other[scope] != scope_id or other["protocol"] != protocol:
            continue
        overlap = row["startport"] <= other["endport"] and other["startport"] <= row["endport"]
        # CloudStack allows the same ports again for other sources.
        if overlap and set(cidrs.split(",")) & set(other["cidrlist"].split(",")):
            raise errors.ApiError(
                537,
                f"The range specified, {row['startport']}-{row['endport']}, conflicts with rule {other['id']} which "
                f"has {other['startport']}-{other['endport']}",
                cscode=4400,
            )
    table[row["id"]] = row
    return row


@job("createFirewallRule", "firewallrule")
def create_firewall_rule(cloud: Cloud, params: Params) -> dict[str, Any]:
    address = params.entity(cloud.addresses, "ipaddressid")
    return _filter_rule(
        params, cloud.firewall_rules, "ipaddressid", address["id"], params.get("cidrlist") or "0.0.0.0/0"
    )


@sync("listFirewallRules")
def list_firewall_rules(cloud: Cloud, params: Params) -> dict[str, Any]:
    return listing(params, cloud.firewall_rules, "firewallrule", "ipaddressid")


@job("deleteFirewallRule")
def delete_firewall_rule(cloud: Cloud, params: Params) -> dict[str, Any]:
    del cloud.firewall_rules[params.entity(cloud.firewall_rules, "id")["id"]]
    return {}


@job("createEgressFirewallRule", "firewallrule")
def create_egress_firewall_rule(cloud: Cloud, params: Params) -> dict[str, Any]:
    network = params.entity(cloud.networks, "networkid")
    cidrs = params.get("cidrlist") or network["cidr"]
    guests = ipaddress.ip_network(network["cidr"])
    for cidr in cidrs.split(","):
        if not ipaddress.ip_network(cidr).subnet_of(guests):  # type: ignore[arg-type]  # both are IPv4
            raise errors.invalid(f"{cidr} is outside of the guest network's CIDR {guests}")
    return _filter_rule(params, cloud.egress_rules, "networkid", network["id"], cidrs)


@sync("listEgressFirewallRules")
def list_egress_firewall_rules(cloud: Cloud, params: Params) -> dict[str, Any]:
    return listing(params, cloud.egress_rules, "firewallrule", "networkid")


@job("deleteEgressFirewallRule")
def delete_egress_firewall_rule(cloud: Cloud, params: Params) -> dict[str, Any]:
    del cloud.egress_rules[params.entity(cloud.egress_rules, "id")["id"]]
    return {}


def _refuse_taken_port(cloud: Cloud, address_id: str, port: int) -> None:
    for rule in cloud.forwards.values():
        if rule["ipaddressid"] == address_id and rule["publicport"] == str(port):
            raise errors.ApiError(
                537, f"The range specified, {port}-{port}, conflicts with rule {rule['id']}", cscode=4400
            )
    for rule in cloud.balancers.values():
        if rule["publicipid"] == address_id and rule["publicport"] == str(port):
            raise errors.ApiError(
                537, f"The range specified, {port}-{port}, conflicts with rule {rule['id']}", cscode=4400
            )


@job("createPortForwardingRule", "portforwardingrule")
def create_port_forwarding_rule(cloud: Cloud, params: Params) -> dict[str, Any]:
    address = params.entity(cloud.addresses, "ipaddressid")
    instance = params.entity(cloud.instances, "virtualmachineid")
    port = params.number("publicport")
    _refuse_taken_port(cloud, address["id"], port)
    row: Entity = {
        "id": str(uuid.uuid4()),
        "ipaddressid": address["id"],
        "protocol": params.need("protocol").lower(),
        "publicport": str(port),
        "publicendport": str(params.number("publicendport", port)),
        "privateport": params.need("privateport"),
        "privateendport": params.get("privateendport", params["privateport"]),
        "virtualmachineid": instance["id"],
        "virtualmachinename": instance["name"],
        "vmguestip": instance["nic"][0]["ipaddress"],
        "state": "Active",
    }
    cloud.forwards[row["id"]] = row
    return row


@sync("listPortForwardingRules")
def list_port_forwarding_rules(cloud: Cloud, params: Params) -> dict[str, Any]:
    return listing(params, cloud.forwards, "portforwardingrule", "ipaddressid")


@job("deletePortForwardingRule")
def delete_port_forwarding_rule(cloud: Cloud, params: Params) -> dict[str, Any]:
    del cloud.forwards[params.entity(cloud.forwards, "id")["id"]]
    return {}


# ---- load balancing


@job("createLoadBalancerRule", "loadbalancer")
def create_load_balancer_rule(cloud: Cloud, params: Params) -> dict[str, Any]:
    address = params.entity(cloud.addresses, "publicipid")
    port = params.number("publicport")
    _refuse_taken_port(cloud, address["id"], port)
    row: Entity = {
        "id": str(uuid.uuid4()),
        "name": params.need("name"),
        "description": params.get("description", ""),
        "publicipid": address["id"],
        "publicip": address["ipaddress"],
        "networkid": params.get("networkid", address["associatednetworkid"]),
        "algorithm": params.need("algorithm"),
        "protocol": params.get("protocol", "tcp"),
        "publicport": str(port),
        "privateport": params.need("privateport"),
        "state": "Add",
        "_members": [],
    }
    cloud.balancers[row["id"]] = row
    return visible(row)


@job("updateLoadBalancerRule", "loadbalancer")
def update_load_balancer_rule(cloud: Cloud, params: Params) -> dict[str, Any]:
    row = params.entity(cloud.balancers, "id")
    row.update({name: params[name] for name in ("name", "description", "algorithm") if name in params})
    return visible(row)


@sync("listLoadBalancerRules")
def list_load_balancer_rules(cloud: Cloud, params: Params) -> dict[str, Any]:
    return listing(params, cloud.balancers, "loadbalancerrule", "publicipid", "name")


@job("assignToLoadBalancerRule")
def assign_to_load_balancer_rule(cloud: Cloud, params: Params) -> dict[str, Any]:
    row = params.entity(cloud.balancers, "id")
    for member in params.listed("virtualmachineids"):
        if member not in cloud.instances:
            raise errors.unknown_entity(params.command, "virtualmachineids", member)
        if member not in row["_members"]:
            row["_members"].append(member)
    row["state"] = "Active"
    return {}


@job("removeFromLoadBalancerRule")
def remove_from_load_balancer_rule(cloud: Cloud, params: Params) -> dict[str, Any]:
    row = params.entity(cloud.balancers, "id")
    row["_members"] = [member for member in row["_members"] if member not in params.listed("virtualmachineids")]
    return {}


@sync("listLoadBalancerRuleInstances")
def list_load_balancer_rule_instances(cloud: Cloud, params: Params) -> dict[str, Any]:
    row = params.entity(cloud.balancers, "id")
    members = [visible(cloud.instances[member]) for member in row["_members"] if member in cloud.instances]
    return {"count": len(members), "loadbalancerruleinstance": members} if members else {}


@job("deleteLoadBalancerRule")
def delete_load_balancer_rule(cloud: Cloud, params: Params) -> dict[str, Any]:
    del cloud.balancers[params.entity(cloud.balancers, "id")["id"]]
    return {}
