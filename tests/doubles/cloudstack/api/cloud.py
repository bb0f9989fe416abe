"""The state behind the API: what the cloud offers, what the account has, and the troubles a test asks for."""

from __future__ import annotations

import copy
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.cloudstack.api import errors

Entity = dict[str, Any]
Table = dict[str, Entity]

#: Resource types of the quota: our name, CloudStack's number, the field names of listAccounts.
QUOTAS = {
    "user_vm": ("0", "vm"),
    "public_ip": ("1", "ip"),
    "volume": ("2", "volume"),
    "network": ("6", "network"),
    "cpu": ("8", "cpu"),
    "memory": ("9", "memory"),
}

GIB = 1 << 30

KUBECONFIG = """\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: b2YgdGhlIGNsdXN0ZXI=
    server: {server}
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: kubernetes-admin
  name: kubernetes-admin@kubernetes
current-context: kubernetes-admin@kubernetes
kind: Config
preferences: {{}}
users:
- name: kubernetes-admin
  user:
    client-certificate-data: Y2VydGlmaWNhdGU=
    client-key-data: a2V5LW9mLXRoZS1hZG1pbmlzdHJhdG9y
"""


@dataclass
class Fault:
    """Trouble to make.

    command: API command that fails; code, text: the error; skip: how many calls succeed first; times: how many fail
    then; in_job: the command is accepted and its job fails, as when a hypervisor has no room; match: only calls with
    these parameters.
    """

    command: str
    code: int = 530
    text: str = "Internal error executing command, please contact your system administrator"
    skip: int = 0
    times: int = 1
    in_job: bool = False
    match: dict[str, str] = field(default_factory=dict)


@dataclass
class Job:
    """An asynchronous job: its outcome is decided, and told once `ready` (monotonic seconds) has come."""

    id: str
    command: str
    ready: float
    result: dict[str, Any]
    failed: bool


def entity_id(kind: str, name: str) -> str:
    """The same ID in every run, for the things that the cloud offers."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"cloudstack:{kind}:{name}"))


def _catalogue(kind: str, *rows: Entity) -> Table:
    return {row["id"]: row for row in ({"id": entity_id(kind, row["name"]), **row} for row in rows)}


class Cloud:
    """One account in one cloud. Thread-safe through `lock`, which the API holds while a command runs."""

    def __init__(self, api_key: str, secret_key: str) -> None:
        self.api_key = api_key
        self.secret_key = secret_key
        self.lock = threading.RLock()

        self.zones = _catalogue(
            "zone",
            {"name": "zone-1", "networktype": "Advanced", "allocationstate": "Enabled"},
            {"name": "zone-2", "networktype": "Advanced", "allocationstate": "Enabled"},
        )
        self.service_offerings = _catalogue(
            "service_offering",
            {"name": "Small Instance", "cpunumber": 1, "cpuspeed": 2000, "memory": 2048},
            {"name": "Medium Instance", "cpunumber": 2, "cpuspeed": 2000, "memory": 4096},
            {"name": "Large Instance", "cpunumber": 4, "cpuspeed": 2000, "memory": 8192},
        )
        self.disk_offerings = _catalogue(
            "disk_offering",
            {"name": "Custom", "iscustomized": True, "disksize": 0},
            {"name": "Medium", "iscustomized": False, "disksize": 20},
        )
        self.network_offerings = _catalogue(
            "network_offering",
            {
                "name": "DefaultIsolatedNetworkOfferingWithSourceNatService",
                "guestiptype": "Isolated",
                "specifyipranges": False,
                "egressdefaultpolicy": False,
            },
            {
                "name": "IsolatedOpenEgress",
                "guestiptype": "Isolated",
                "specifyipranges": False,
                "egressdefaultpolicy": True,
            },
            {
                "name": "DefaultSharedNetworkOffering",
                "guestiptype": "Shared",
                "specifyipranges": True,
                "egressdefaultpolicy": True,
            },
        )
        self.templates = _catalogue(
            "template",
            {"name": "Ubuntu 24.04", "size": 10 * GIB, "zonename": "zone-1"},
            {"name": "Debian 12", "size": 8 * GIB, "zonename": "zone-1"},
        )
        self.kubernetes_versions = _catalogue(
            "kubernetes_version",
            {"name": "v1.32.5-calico", "semanticversion": "1.32.5", "mincpunumber": 2, "minmemory": 2048},
            {"name": "v1.33.1-calico", "semanticversion": "1.33.1", "mincpunumber": 2, "minmemory": 2048},
        )
        for table in (self.kubernetes_versions, self.templates):
            for row in table.values():
                row["zoneid"], row["zonename"] = entity_id("zone", "zone-1"), "zone-1"
                row["state"], row["isready"] = "Enabled", True

        self.networks: Table = {}
        self.addresses: Table = {}
        self.firewall_rules: Table = {}
        self.egress_rules: Table = {}
        self.forwards: Table = {}
        self.balancers: Table = {}
        self.keypairs: Table = {}
        self.affinity_groups: Table = {}
        self.instances: Table = {}
        self.volumes: Table = {}
        self.clusters: Table = {}

        #: What a Kubernetes cluster of the cloud gives its administrator.
        self.kubeconfig = KUBECONFIG
        #: Public addresses to give out before those of the documentation network.
        self.public_addresses: list[str] = []
        #: Upper bounds by the keys of QUOTAS; absent means unlimited.
        self.limits: dict[str, int] = {}
        #: Hypervisors; strict anti-affinity needs one for each instance of a group.
        self.hosts = 4
        self.faults: list[Fault] = []
        #: Seconds that every job takes.
        self.job_seconds = 0.0
        #: (calls, seconds): more calls than that get 429; None means no limit.
        self.rate_limit: tuple[int, float] | None = None
        #: Every authenticated call: command and parameters (names in lower case).
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.jobs: dict[str, Job] = {}
        self._recent: deque[float] = deque()
        self._addresses_given = 0

    # ---- what tests ask

    def commands(self, *, writing: bool = False) -> list[str]:
        """Commands called so far; `writing` leaves out those that only read."""
        reads = ("list", "query", "get")
        return [command for command, _ in self.calls if not (writing and command.startswith(reads))]

    def holdings(self) -> dict[str, list[str]]:
        """Names (or IDs) of everything the account has, by kind; empty when it has nothing."""
        tables = {
            "networks": self.networks,
            "addresses": self.addresses,
            "firewall_rules": self.firewall_rules,
            "egress_rules": self.egress_rules,
            "forwards": self.forwards,
            "balancers": self.balancers,
            "keypairs": self.keypairs,
            "affinity_groups": self.affinity_groups,
            "instances": self.instances,
            "volumes": self.volumes,
            "clusters": self.clusters,
        }
        return {
            kind: sorted(str(row.get("name", row_id)) for row_id, row in table.items())
            for kind, table in tables.items()
            if table
        }

    def become(self, other: Cloud) -> None:
        """Offer and hold what another cloud does, of our own; calls and troubles are not taken over."""
        for name, value in vars(other).items():
            if isinstance(value, dict) and name not in ("jobs", "limits"):
                setattr(self, name, copy.deepcopy(value))
        self._addresses_given = other._addresses_given

    def named(self, table: Table, name: str) -> Entity:
        """The one entity of that name. Raises KeyError when there is none."""
        found = [row for row in table.values() if row.get("name") == name]
        if len(found) != 1:
            raise KeyError(f"{name}: {len(found)} found")
        return found[0]

    # ---- what commands use

    def usage(self) -> dict[str, int]:
        """What counts against the quota."""
        living = list(self.instances.values())
        return {
            "user_vm": len(living),
            "public_ip": len(self.addresses),
            "volume": len(self.volumes),
            "network": len(self.networks),
            "cpu": sum(row["cpunumber"] for row in living),
            "memory": sum(row["memory"] for row in living),
        }

    def claim(self, **amounts: int) -> None:
        """Check amounts against the quota. Raises ApiError 535."""
        used = self.usage()
        for kind, amount in amounts.items():
            limit = self.limits.get(kind)
            if limit is not None and used[kind] + amount > limit:
                raise errors.quota(kind, limit, used[kind], amount)

    def next_public_ip(self) -> str:
        """An address that was never given before."""
        if self.public_addresses:
            return self.public_addresses.pop(0)
        self._addresses_given += 1
        return f"198.51.100.{9 + self._addresses_given}"

    def throttle(self) -> None:
        """Count a call against the rate limit. Raises ApiError 429."""
        if self.rate_limit is None:
            return
        calls, seconds = self.rate_limit
        now = time.monotonic()
        while self._recent and self._recent[0] <= now - seconds:
            self._recent.popleft()
        if len(self._recent) >= calls:
            wait = int(1000 * (self._recent[0] + seconds - now))
            raise errors.ApiError(
                429, f"The given user has reached his/her account api limit, please retry after {wait} ms."
            )
        self._recent.append(now)

    def fault(self, command: str, params: dict[str, str], *, in_job: bool) -> Fault | None:
        """The trouble that this call runs into, if any."""
        for fault in self.faults:
            if fault.command != command or fault.in_job != in_job:
                continue
            if any(params.get(name) != value for name, value in fault.match.items()):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.times > 0:
                fault.times -= 1
                return fault
        return None
