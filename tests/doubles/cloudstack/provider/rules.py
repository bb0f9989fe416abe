"""Firewalls and port forwards: one resource for many rules, each rule an entity of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.doubles.cloudstack.provider.data import Data, Resource
from tests.doubles.cloudstack.provider.errors import GoneError, ProviderError

if TYPE_CHECKING:
    from tests.doubles.cloudstack.provider.client import Client

Rule = dict[str, Any]


class RuleSet(Resource):
    """What the three have in common.

    A failure half-way keeps the rules that were made; with `managed`, entities that are not in the state are read as
    stand-ins, so that the next apply removes them.
    """

    block: str
    scope: str
    list_command: str
    list_key: str
    list_filter: str
    delete_command: str

    def identity(self, rule: Rule) -> object:
        """What makes two rules the same, whatever their IDs."""
        raise NotImplementedError

    def make(self, rule: Rule, d: Data, api: Client) -> None:
        """Make a rule's entities, noting each one's ID in the rule at once."""
        raise NotImplementedError

    def ids(self, rule: Rule) -> dict[str, str]:
        """IDs of the rule's entities."""
        raise NotImplementedError

    def refresh(self, rule: Rule, rows: dict[str, Rule]) -> bool:
        """Update a rule, taking its entities out of rows. Returns whether anything of it is left."""
        raise NotImplementedError

    def stand_in(self, entity_id: str) -> Rule:
        """A rule for an entity that nobody asked for."""
        raise NotImplementedError

    def forget(self, rule: Rule, key: str) -> None:
        """Note that an entity is gone."""
        raise NotImplementedError

    #: The provider loses the forwards of a failed creation, but keeps firewall rules.
    keeps_on_failed_create = True

    def create(self, d: Data, api: Client) -> None:
        self._verify(d)
        d.entity_id = d.text(self.scope)
        wanted = d.get(self.block) or []
        made: list[Rule] = []
        try:
            self._make_all(wanted, made, d, api)
        except ProviderError:
            d.set(**{self.block: made if self.keeps_on_failed_create else wanted})
            raise
        d.set(**{self.block: made})
        self.read(d, api)

    def read(self, d: Data, api: Client) -> None:
        found = api.call(self.list_command, listall=True, **{self.list_filter: d.entity_id}).get(self.list_key, [])
        rows: dict[str, Rule] = {row["id"]: row for row in found}
        rules = [rule for rule in d.get(self.block) or [] if self.refresh(rule, rows)]
        if d.get("managed"):
            rules += [self.stand_in(entity_id) for entity_id in rows]
        elif not rules:
            raise GoneError(d.entity_id)
        d.set(**{self.block: rules})

    def update(self, d: Data, api: Client) -> None:
        self._verify(d)
        old = {self.identity(rule): rule for rule in d.prior.get(self.block) or []}
        new = {self.identity(rule): rule for rule in d.get(self.block) or []}
        kept = [rule for key, rule in old.items() if key in new]
        d.set(**{self.block: kept})
        self._delete_all([rule for key, rule in old.items() if key not in new], kept, api)
        self._make_all([rule for key, rule in new.items() if key not in old], kept, d, api)
        self.read(d, api)

    def delete(self, d: Data, api: Client) -> None:
        left: list[Rule] = []
        rules = d.get(self.block) or []
        d.set(**{self.block: left})
        self._delete_all(rules, left, api)

    def _verify(self, d: Data) -> None:
        if not d.get(self.block) and not d.get("managed"):
            raise ProviderError("You must supply at least one 'rule' when not using the 'managed' firewall feature")

    def _make_all(self, rules: list[Rule], made: list[Rule], d: Data, api: Client) -> None:
        errors = []
        for rule in rules:
            try:
                self.make(rule, d, api)
            except ProviderError as error:
                errors.append(str(error))
            if self.ids(rule):
                made.append(rule)
        _raise(errors)

    def _delete_all(self, rules: list[Rule], left: list[Rule], api: Client) -> None:
        errors = []
        for rule in rules:
            for key, entity_id in list(self.ids(rule).items()):
                try:
                    api.call(self.delete_command, id=entity_id)
                except GoneError:
                    pass
                except ProviderError as error:
                    errors.append(str(error))
                    continue
                self.forget(rule, key)
            if self.ids(rule):
                left.append(rule)
        _raise(errors)


def _raise(errors: list[str]) -> None:
    if errors:
        lines = "".join(f"\n\t* {error}" for error in errors)
        raise ProviderError(f"{len(errors)} error{'s'[: len(errors) != 1]} occurred:{lines}")


class Firewall(RuleSet):
    """cloudstack_firewall."""

    name = "firewall"
    force_new = frozenset({"ip_address_id", "project"})
    defaults = {"managed": False, "parallelism": 2}  # noqa: RUF012  read only
    block = "rule"
    scope = "ip_address_id"
    list_command = "listFirewallRules"
    list_key = "firewallrule"
    list_filter = "ipaddressid"
    create_command = "createFirewallRule"
    delete_command = "deleteFirewallRule"

    def identity(self, rule: Rule) -> object:
        return rule["protocol"], frozenset(rule.get("cidr_list") or ()), frozenset(rule.get("ports") or ())

    def ids(self, rule: Rule) -> dict[str, str]:
        return rule.get("uuids") or {}

    def forget(self, rule: Rule, key: str) -> None:
        rule["uuids"] = {name: value for name, value in rule["uuids"].items() if name != key}

    def make(self, rule: Rule, d: Data, api: Client) -> None:
        protocol = rule["protocol"]
        if protocol not in ("tcp", "udp"):
            raise ProviderError(f"\"{protocol}\" is not a valid protocol. Valid options are 'tcp', 'udp' and 'icmp'")
        wanted, rule["uuids"], rule["ports"] = rule.get("ports") or [], dict(self.ids(rule)), []
        for ports in sorted(wanted):
            start, _, end = ports.partition("-")
            row = api.call(
                self.create_command,
                protocol=protocol,
                cidrlist=sorted(rule.get("cidr_list") or ()),
                startport=int(start),
                endport=int(end or start),
                **{self.list_filter: d.entity_id},
            )["firewallrule"]
            rule["ports"].append(ports)
            rule["uuids"][ports] = row["id"]

    def refresh(self, rule: Rule, rows: dict[str, Rule]) -> bool:
        found = {ports: rows.pop(entity_id) for ports, entity_id in self.ids(rule).items() if entity_id in rows}
        rule["uuids"] = {ports: row["id"] for ports, row in found.items()}
        rule["ports"] = sorted(found)
        for row in found.values():
            rule["protocol"], rule["cidr_list"] = row["protocol"], row["cidrlist"].split(",")
        return bool(found)

    def stand_in(self, entity_id: str) -> Rule:
        return {
            "cidr_list": [entity_id],
            "protocol": entity_id,
            "uuids": {entity_id: entity_id},
            "icmp_code": None,
            "icmp_type": None,
            "ports": None,
        }


class EgressFirewall(Firewall):
    """cloudstack_egress_firewall."""

    name = "egress_firewall"
    force_new = frozenset({"network_id", "project"})
    scope = "network_id"
    list_command = "listEgressFirewallRules"
    list_filter = "networkid"
    create_command = "createEgressFirewallRule"
    delete_command = "deleteEgressFirewallRule"

    def stand_in(self, entity_id: str) -> Rule:
        return {**super().stand_in(entity_id), "dest_cidr_list": None}


class PortForward(RuleSet):
    """cloudstack_port_forward."""

    name = "port_forward"
    force_new = frozenset({"ip_address_id", "project"})
    defaults = {"managed": False}  # noqa: RUF012  read only
    block = "forward"
    scope = "ip_address_id"
    list_command = "listPortForwardingRules"
    list_key = "portforwardingrule"
    list_filter = "ipaddressid"
    delete_command = "deletePortForwardingRule"
    keeps_on_failed_create = False

    def identity(self, rule: Rule) -> object:
        return rule["protocol"], rule["private_port"], rule["public_port"], rule["virtual_machine_id"]

    def ids(self, rule: Rule) -> dict[str, str]:
        return {"uuid": rule["uuid"]} if rule.get("uuid") else {}

    def forget(self, rule: Rule, key: str) -> None:
        rule[key] = ""

    def make(self, rule: Rule, d: Data, api: Client) -> None:
        instance = api.one("listVirtualMachines", "virtualmachine", rule["virtual_machine_id"])
        row = api.call(
            "createPortForwardingRule",
            ipaddressid=d.entity_id,
            privateport=int(rule["private_port"]),
            protocol=rule["protocol"],
            publicport=int(rule["public_port"]),
            virtualmachineid=instance["id"],
            networkid=instance["nic"][0]["networkid"],
            openfirewall=False,
        )["portforwardingrule"]
        rule["uuid"] = row["id"]

    def refresh(self, rule: Rule, rows: dict[str, Rule]) -> bool:
        row = rows.pop(rule.get("uuid") or "", None)
        if row is None:
            return False
        rule.update(
            protocol=row["protocol"],
            private_port=int(row["privateport"]),
            private_end_port=int(row["privateendport"]),
            public_port=int(row["publicport"]),
            public_end_port=int(row["publicendport"]),
            virtual_machine_id=row["virtualmachineid"],
        )
        return True

    def stand_in(self, entity_id: str) -> Rule:
        return {
            "protocol": entity_id,
            "private_port": 0,
            "private_end_port": 0,
            "public_port": 0,
            "public_end_port": 0,
            "virtual_machine_id": entity_id,
            "uuid": entity_id,
            "vm_guest_ip": None,
        }
