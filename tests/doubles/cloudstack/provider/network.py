"""Networks, public addresses, load balancing."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from tests.doubles.cloudstack.provider.data import Data, Resource, tags_of, write_tags
from tests.doubles.cloudstack.provider.errors import GoneError, ProviderError

if TYPE_CHECKING:
    from tests.doubles.cloudstack.provider.client import Client


class Network(Resource):
    """cloudstack_network, isolated only."""

    name = "network"
    force_new = frozenset(
        {"cidr", "endip", "gateway", "ip6cidr", "ip6gateway", "project", "source_nat_ip", "startip", "vlan", "vpc_id"}
        | {"startipv6", "endipv6", "zone"}
    )
    defaults = {"acl_id": "none"}  # noqa: RUF012  read only

    def create(self, d: Data, api: Client) -> None:
        name = d.text("name")
        offering, zone = api.network_offering(d.text("network_offering")), api.zone(d.text("zone"))
        cidr = ipaddress.ip_network(d.text("cidr"))
        try:
            row = api.call(
                "createNetwork",
                name=name,
                displaytext=d.text("display_text") or name,
                networkofferingid=offering,
                zoneid=zone,
                gateway=d.text("gateway") or str(cidr[1]),
                netmask=str(cidr.netmask),
                networkdomain=d.get("network_domain"),
            )["network"]
        except ProviderError as error:
            raise ProviderError(f"Error creating network {name}: {error}") from error
        d.entity_id = row["id"]
        write_tags(d, api, "network")
        if d.get("source_nat_ip"):
            try:
                address = api.call("associateIpAddress", networkid=d.entity_id, zoneid=zone)["ipaddress"]
            except ProviderError as error:
                raise ProviderError(f"Error associating a new IP address: {error}") from error
            d.set(source_nat_ip_address=address["ipaddress"], source_nat_ip_id=address["id"])
        self.read(d, api)

    def read(self, d: Data, api: Client) -> None:
        row = api.one("listNetworks", "network", d.entity_id)
        d.set(
            name=row["name"],
            display_text=row["displaytext"],
            cidr=row["cidr"],
            gateway=row["gateway"],
            network_domain=row["networkdomain"],
            acl_id=row.get("aclid", "none"),
            tags=tags_of(row),
        )
        d.set_name_or_id("network_offering", row["networkofferingname"], row["networkofferingid"])
        d.set_name_or_id("zone", row["zonename"], row["zoneid"])
        if d.get("source_nat_ip"):
            try:
                address = api.one("listPublicIpAddresses", "publicipaddress", d.text("source_nat_ip_id"))
            except GoneError:
                d.set(source_nat_ip=False, source_nat_ip_id="")
                return
            if address["associatednetworkid"] != d.entity_id:
                d.set(source_nat_ip=False, source_nat_ip_id="")

    def update(self, d: Data, api: Client) -> None:
        params = {}
        if d.changed("name", "display_text"):
            params = {"name": d.text("name"), "displaytext": d.text("display_text") or d.text("name")}
        if d.changed("network_domain"):
            params["networkdomain"] = d.text("network_domain")
        if d.changed("network_offering"):
            params["networkofferingid"] = api.network_offering(d.text("network_offering"))
        try:
            api.call("updateNetwork", id=d.entity_id, **params)
        except ProviderError as error:
            raise ProviderError(f"Error updating network {d.text('name')}: {error}") from error
        if d.changed("tags"):
            write_tags(d, api, "network")
        self.read(d, api)

    def delete(self, d: Data, api: Client) -> None:
        try:
            api.call("deleteNetwork", id=d.entity_id)
        except GoneError:
            return
        except ProviderError as error:
            raise ProviderError(f"Error deleting network {d.text('name')}: {error}") from error


class LoadBalancerRule(Resource):
    """cloudstack_loadbalancer_rule."""

    name = "loadbalancer_rule"
    force_new = frozenset({"ip_address_id", "network_id", "private_port", "project", "protocol", "public_port"})

    def create(self, d: Data, api: Client) -> None:
        row = api.call(
            "createLoadBalancerRule",
            algorithm=d.text("algorithm"),
            name=d.text("name"),
            description=d.text("description") or d.text("name"),
            privateport=int(d.get("private_port")),
            publicport=int(d.get("public_port")),
            publicipid=d.text("ip_address_id"),
            networkid=d.get("network_id"),
            protocol=d.get("protocol"),
            openfirewall=False,
        )["loadbalancer"]
        d.entity_id = row["id"]
        api.call("assignToLoadBalancerRule", id=d.entity_id, virtualmachineids=d.get("member_ids"))
        self.read(d, api)

    def read(self, d: Data, api: Client) -> None:
        row = api.one("listLoadBalancerRules", "loadbalancerrule", d.entity_id)
        d.set(
            name=row["name"],
            ip_address_id=row["publicipid"],
            algorithm=row["algorithm"],
            public_port=int(row["publicport"]),
            private_port=int(row["privateport"]),
            protocol=row["protocol"],
        )
        if d.get("network_id"):
            d.set(network_id=row["networkid"])
        members = api.call("listLoadBalancerRuleInstances", id=d.entity_id).get("loadbalancerruleinstance", [])
        d.set(member_ids=[member["id"] for member in members])

    def update(self, d: Data, api: Client) -> None:
        if d.changed("name", "description", "algorithm"):
            api.call(
                "updateLoadBalancerRule",
                id=d.entity_id,
                name=d.text("name"),
                description=d.text("description"),
                algorithm=d.text("algorithm"),
            )
        old, new = set(d.prior["member_ids"]), set(d.get("member_ids"))
        if new - old:
            api.call("assignToLoadBalancerRule", id=d.entity_id, virtualmachineids=sorted(new - old))
        if old - new:
            api.call("removeFromLoadBalancerRule", id=d.entity_id, virtualmachineids=sorted(old - new))
        self.read(d, api)

    def delete(self, d: Data, api: Client) -> None:
        try:
            api.call("deleteLoadBalancerRule", id=d.entity_id)
        except GoneError:
            return
