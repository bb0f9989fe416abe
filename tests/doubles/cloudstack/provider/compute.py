"""Keys, affinity groups, instances, disks, managed Kubernetes clusters."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from tests.doubles.cloudstack.provider.data import Data, Resource, tags_of, write_tags
from tests.doubles.cloudstack.provider.errors import GoneError, ProviderError

if TYPE_CHECKING:
    from tests.doubles.cloudstack.provider.client import Client

GIB = 1 << 30


class SshKeypair(Resource):
    """cloudstack_ssh_keypair with a given public key."""

    name = "ssh_keypair"
    force_new = frozenset({"name", "project", "public_key"})

    def create(self, d: Data, api: Client) -> None:
        if not d.text("public_key"):
            raise ProviderError("the double makes no private keys: give public_key")
        api.call("registerSSHKeyPair", name=d.text("name"), publickey=d.text("public_key"))
        d.entity_id = d.text("name")
        self.read(d, api)

    def read(self, d: Data, api: Client) -> None:
        rows = api.call("listSSHKeyPairs", name=d.entity_id).get("sshkeypair", [])
        if not rows:
            raise GoneError(d.entity_id)
        d.set(name=rows[0]["name"], fingerprint=rows[0]["fingerprint"])

    def delete(self, d: Data, api: Client) -> None:
        try:
            api.call("deleteSSHKeyPair", name=d.entity_id)
        except ProviderError as error:
            if "does not exist for account" not in str(error):
                raise ProviderError(f"Error deleting key pair: {error}") from error


class AffinityGroup(Resource):
    """cloudstack_affinity_group."""

    name = "affinity_group"
    force_new = frozenset({"description", "name", "project", "type"})

    def create(self, d: Data, api: Client) -> None:
        row = api.call(
            "createAffinityGroup",
            name=d.text("name"),
            type=d.text("type"),
            description=d.text("description") or d.text("name"),
        )["affinitygroup"]
        d.entity_id = row["id"]
        self.read(d, api)

    def read(self, d: Data, api: Client) -> None:
        row = api.one("listAffinityGroups", "affinitygroup", d.entity_id)
        d.set(name=row["name"], description=row["description"], type=row["type"])

    def delete(self, d: Data, api: Client) -> None:
        try:
            api.call("deleteAffinityGroup", id=d.entity_id)
        except GoneError:
            return
        except ProviderError as error:
            raise ProviderError(f"Error deleting affinity group: {error}") from error


class Instance(Resource):
    """cloudstack_instance."""

    name = "instance"
    force_new = frozenset(
        {"boot_mode", "disk_offering", "ip_address", "network_id", "override_disk_offering", "project"}
        | {"root_disk_size", "security_group_ids", "security_group_names", "start_vm", "template", "zone"}
    )
    defaults = {"expunge": False, "start_vm": True, "uefi": False}  # noqa: RUF012  read only
    restart = ("name", "service_offering", "affinity_group_ids", "keypair", "user_data")

    @staticmethod
    def state_value(name: str, value: str) -> str:
        if name == "user_data":
            return hashlib.sha1(value.encode(), usedforsecurity=False).hexdigest()
        return value

    def create(self, d: Data, api: Client) -> None:
        name = d.text("name")
        offering = api.service_offering(d.text("service_offering"))
        zone = api.zone(d.text("zone"))
        template = api.template(d.text("template"), zone)
        params: dict[str, Any] = {
            "serviceofferingid": offering,
            "templateid": template,
            "zoneid": zone,
            "name": name,
            "displayname": d.text("display_name") or name,
            "networkids": d.text("network_id"),
            "affinitygroupids": d.get("affinity_group_ids"),
            "keypair": d.get("keypair"),
            "startvm": bool(d.get("start_vm")),
            "rootdisksize": d.get("root_disk_size"),
        }
        if d.configured.get("user_data"):
            params["userdata"] = base64.b64encode(d.configured["user_data"].encode()).decode()
        try:
            row = api.call("deployVirtualMachine", **params)["virtualmachine"]
        except ProviderError as error:
            raise ProviderError(f"Error creating the new instance {name}: {error}") from error
        d.entity_id = row["id"]
        try:
            write_tags(d, api, "userVm")
        except ProviderError as error:
            raise ProviderError(f"Error setting tags on the new instance {name}: {error}") from error
        self.read(d, api)

    def read(self, d: Data, api: Client) -> None:
        row = api.one("listVirtualMachines", "virtualmachine", d.entity_id)
        d.set(
            name=row["name"],
            display_name=row["displayname"],
            group=row.get("group", ""),
            network_id=row["nic"][0]["networkid"],
            ip_address=row["nic"][0]["ipaddress"],
            tags=tags_of(row),
        )
        roots = api.call("listVolumes", type="ROOT", virtualmachineid=d.entity_id).get("volume", [])
        if len(roots) == 1:
            d.set(root_disk_size=roots[0]["size"] // GIB)
        if d.get("affinity_group_ids"):
            d.set(affinity_group_ids=[group["id"] for group in row["affinitygroup"]])
        d.set_name_or_id("service_offering", row["serviceofferingname"], row["serviceofferingid"])
        d.set_name_or_id("template", row.get("templatename"), row.get("templateid"))
        d.set_name_or_id("zone", row["zonename"], row["zoneid"])

    def update(self, d: Data, api: Client) -> None:
        name = d.text("name")
        if d.changed("display_name"):
            api.call("updateVirtualMachine", id=d.entity_id, displayname=d.text("display_name"))
        if d.changed(*self.restart):
            self._update_stopped(d, api, name)
        if d.changed("tags"):
            write_tags(d, api, "UserVm")
        self.read(d, api)

    def _update_stopped(self, d: Data, api: Client, name: str) -> None:
        api.call("stopVirtualMachine", id=d.entity_id)
        if d.changed("name"):
            api.call("updateVirtualMachine", id=d.entity_id, name=name)
        if d.changed("service_offering"):
            try:
                offering = api.service_offering(d.text("service_offering"))
                api.call("changeServiceForVirtualMachine", id=d.entity_id, serviceofferingid=offering)
            except ProviderError as error:
                raise ProviderError(f"Error changing the service offering for instance {name}: {error}") from error
        if d.changed("affinity_group_ids"):
            api.call("updateVMAffinityGroup", id=d.entity_id, affinitygroupids=d.get("affinity_group_ids"))
        if d.changed("keypair"):
            api.call("resetSSHKeyForVirtualMachine", id=d.entity_id, keypair=d.text("keypair"))
        if d.changed("user_data"):
            userdata = base64.b64encode((d.configured.get("user_data") or "").encode()).decode()
            api.call("updateVirtualMachine", id=d.entity_id, userdata=userdata)
        api.call("startVirtualMachine", id=d.entity_id)

    def delete(self, d: Data, api: Client) -> None:
        try:
            api.call("destroyVirtualMachine", id=d.entity_id, expunge=bool(d.get("expunge")))
        except GoneError:
            return
        except ProviderError as error:
            raise ProviderError(f"Error destroying instance: {error}") from error


class Disk(Resource):
    """cloudstack_disk."""

    name = "disk"
    force_new = frozenset({"name", "project", "zone"})
    defaults = {"reattach_on_change": False, "shrink_ok": False}  # noqa: RUF012  read only

    def create(self, d: Data, api: Client) -> None:
        name = d.text("name")
        offering, zone = api.disk_offering(d.text("disk_offering")), api.zone(d.text("zone"))
        try:
            row = api.call("createVolume", name=name, diskofferingid=offering, zoneid=zone, size=d.get("size"))
        except ProviderError as error:
            raise ProviderError(f"Error creating the new disk {name}: {error}") from error
        d.entity_id = row["volume"]["id"]
        write_tags(d, api, "Volume")
        if d.get("attach"):
            try:
                self._attach(d, api)
            except ProviderError as error:
                raise ProviderError(f"Error attaching the new disk {name} to virtual machine: {error}") from error
        self.read(d, api)

    def read(self, d: Data, api: Client) -> None:
        row = api.one("listVolumes", "volume", d.entity_id)
        d.set(
            name=row["name"],
            attach="virtualmachineid" in row,
            size=row["size"] // GIB,
            tags=tags_of(row),
        )
        d.set_name_or_id("disk_offering", row["diskofferingname"], row["diskofferingid"])
        d.set_name_or_id("zone", row["zonename"], row["zoneid"])
        if "virtualmachineid" in row:
            d.set(device_id=row["deviceid"], virtual_machine_id=row["virtualmachineid"])

    def update(self, d: Data, api: Client) -> None:
        if d.changed("disk_offering", "size"):
            try:
                api.call(
                    "resizeVolume",
                    id=d.entity_id,
                    diskofferingid=api.disk_offering(d.text("disk_offering")),
                    size=d.get("size"),
                    shrinkok=bool(d.get("shrink_ok")),
                )
            except ProviderError as error:
                raise ProviderError(f"Error changing disk offering/size for disk {d.text('name')}: {error}") from error
        # Another instance alone does not detach: the provider asks for a change of "virtual_machine", which never is.
        if d.changed("device_id"):
            self._detach(d, api)
        if d.get("attach"):
            self._attach(d, api)
        else:
            self._detach(d, api)
        if d.changed("tags"):
            write_tags(d, api, "Volume")
        self.read(d, api)

    def delete(self, d: Data, api: Client) -> None:
        try:
            self._detach(d, api)
            api.call("deleteVolume", id=d.entity_id)
        except GoneError:
            return

    def _attached(self, d: Data, api: Client) -> bool:
        return "virtualmachineid" in api.one("listVolumes", "volume", d.entity_id)

    def _attach(self, d: Data, api: Client) -> None:
        if not self._attached(d, api):
            api.call(
                "attachVolume",
                id=d.entity_id,
                virtualmachineid=d.text("virtual_machine_id"),
                deviceid=d.get("device_id"),
            )

    def _detach(self, d: Data, api: Client) -> None:
        if self._attached(d, api):
            api.call("detachVolume", id=d.entity_id)


class KubernetesCluster(Resource):
    """cloudstack_kubernetes_cluster without autoscaling."""

    name = "kubernetes_cluster"
    force_new = frozenset({"control_nodes_size", "keypair", "name", "network_id", "project", "zone"})
    defaults = {"noderootdisksize": 8, "size": 1}  # noqa: RUF012  read only

    def create(self, d: Data, api: Client) -> None:
        row = api.call(
            "createKubernetesCluster",
            name=d.text("name"),
            description=d.text("description") or d.text("name"),
            kubernetesversionid=api.kubernetes_version(d.text("kubernetes_version")),
            serviceofferingid=api.service_offering(d.text("service_offering")),
            zoneid=api.zone(d.text("zone")),
            size=d.get("size"),
            controlnodes=d.get("control_nodes_size"),
            networkid=d.get("network_id"),
            keypair=d.get("keypair"),
            noderootdisksize=d.get("noderootdisksize"),
        )["kubernetescluster"]
        d.entity_id = row["id"]
        self.read(d, api)

    def read(self, d: Data, api: Client) -> None:
        row = api.one("listKubernetesClusters", "kubernetescluster", d.entity_id)
        d.set(
            name=row["name"],
            description=row["description"],
            control_nodes_size=row["controlnodes"],
            size=row["size"],
            autoscaling_enabled=row["autoscalingenabled"],
            min_size=0,
            max_size=0,
            keypair=row["keypair"],
            network_id=row["networkid"],
            ip_address=row["ipaddress"],
            state=row["state"],
        )
        d.set_name_or_id("kubernetes_version", row["kubernetesversionname"], row["kubernetesversionid"])
        d.set_name_or_id("service_offering", row["serviceofferingname"], row["serviceofferingid"])
        d.set_name_or_id("zone", row["zonename"], row["zoneid"])

    def update(self, d: Data, api: Client) -> None:
        if d.changed("service_offering", "size"):
            offering = api.service_offering(d.text("service_offering"))
            api.call("scaleKubernetesCluster", id=d.entity_id, serviceofferingid=offering, size=d.get("size"))
        if d.changed("kubernetes_version"):
            version = api.kubernetes_version(d.text("kubernetes_version"))
            try:
                api.call("upgradeKubernetesCluster", id=d.entity_id, kubernetesversionid=version)
            except ProviderError as error:
                raise ProviderError(f"Error Upgrading Kubernetes Cluster {d.entity_id}: {error}") from error
        self.read(d, api)

    def delete(self, d: Data, api: Client) -> None:
        try:
            api.call("deleteKubernetesCluster", id=d.entity_id)
        except GoneError:
            return
        except ProviderError as error:
            raise ProviderError(f"Error deleting Kubernetes Cluster: {error}") from error
