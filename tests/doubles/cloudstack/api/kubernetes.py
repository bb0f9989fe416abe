"""CloudStack's own Kubernetes service."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from tests.doubles.cloudstack.api import errors
from tests.doubles.cloudstack.api.compute import add_instance, expunge
from tests.doubles.cloudstack.api.network import source_nat
from tests.doubles.cloudstack.api.registry import Params, job, listing, sync, visible

if TYPE_CHECKING:
    from tests.doubles.cloudstack.api.cloud import Cloud, Entity


def _nodes(cloud: Cloud, cluster: Entity) -> list[Entity]:
    return [vm for vm in cloud.instances.values() if vm.get("_cluster") == cluster["id"]]


def _set_workers(cloud: Cloud, cluster: Entity, count: int) -> None:
    workers = [vm for vm in _nodes(cloud, cluster) if "-node-" in vm["name"]]
    network = cloud.networks[cluster["networkid"]]
    offering = cloud.service_offerings[cluster["serviceofferingid"]]
    for vm in workers[count:]:
        expunge(cloud, vm)
    for _ in range(count - len(workers)):
        add_instance(cloud, f"{cluster['name']}-node-{uuid.uuid4().hex[:8]}", network, offering, _cluster=cluster["id"])
    cluster["size"] = count


@job("createKubernetesCluster", "kubernetescluster")
def create_kubernetes_cluster(cloud: Cloud, params: Params) -> dict[str, Any]:
    zone = params.entity(cloud.zones, "zoneid")
    version = params.entity(cloud.kubernetes_versions, "kubernetesversionid")
    offering = params.entity(cloud.service_offerings, "serviceofferingid")
    network = params.entity(cloud.networks, "networkid")
    if offering["cpunumber"] < version["mincpunumber"] or offering["memory"] < version["minmemory"]:
        raise errors.invalid(
            f"Kubernetes cluster cannot be created with service offering {offering['name']}, Kubernetes version "
            f"{version['name']} needs minimum {version['mincpunumber']} vCPUs and {version['minmemory']} MB RAM"
        )
    control, workers = params.number("controlnodes", 1), params.number("size")
    nodes = control + workers
    cloud.claim(user_vm=nodes, cpu=nodes * offering["cpunumber"], memory=nodes * offering["memory"])
    address = source_nat(cloud, network)
    row: Entity = {
        "id": str(uuid.uuid4()),
        "name": params.need("name"),
        "description": params.get("description", params["name"]),
        "zoneid": zone["id"],
        "zonename": zone["name"],
        "kubernetesversionid": version["id"],
        "kubernetesversionname": version["name"],
        "serviceofferingid": offering["id"],
        "serviceofferingname": offering["name"],
        "networkid": network["id"],
        "keypair": params.get("keypair", ""),
        "controlnodes": control,
        "size": 0,
        "autoscalingenabled": False,
        "ipaddress": address["ipaddress"],
        "endpoint": f"https://{address['ipaddress']}:6443/",
        "state": "Running",
        "_kubeconfig": cloud.kubeconfig.format(server=f"https://{address['ipaddress']}:6443/"),
    }
    cloud.clusters[row["id"]] = row
    for index in range(control):
        add_instance(cloud, f"{row['name']}-control-{index}", network, offering, _cluster=row["id"])
    _set_workers(cloud, row, workers)
    # The service opens the API and the nodes' SSH to everyone by itself.
    for start, end in ((6443, 6443), (2222, 2221 + nodes)):
        rule_id = str(uuid.uuid4())
        cloud.firewall_rules[rule_id] = {
            "id": rule_id,
            "protocol": "tcp",
            "ipaddressid": address["id"],
            "cidrlist": "0.0.0.0/0",
            "startport": start,
            "endport": end,
            "state": "Active",
        }
    return visible(row)


@sync("listKubernetesClusters")
def list_kubernetes_clusters(cloud: Cloud, params: Params) -> dict[str, Any]:
    return listing(params, cloud.clusters, "kubernetescluster", "name")


@sync("getKubernetesClusterConfig")
def get_kubernetes_cluster_config(cloud: Cloud, params: Params) -> dict[str, Any]:
    row = params.entity(cloud.clusters, "id")
    return {"clusterconfig": {"id": row["id"], "name": row["name"], "configdata": row["_kubeconfig"]}}


@job("scaleKubernetesCluster", "kubernetescluster")
def scale_kubernetes_cluster(cloud: Cloud, params: Params) -> dict[str, Any]:
    row = params.entity(cloud.clusters, "id")
    if "size" in params:
        _set_workers(cloud, row, params.number("size"))
    return visible(row)


@job("upgradeKubernetesCluster", "kubernetescluster")
def upgrade_kubernetes_cluster(cloud: Cloud, params: Params) -> dict[str, Any]:
    row = params.entity(cloud.clusters, "id")
    version = params.entity(cloud.kubernetes_versions, "kubernetesversionid")
    if version["semanticversion"] < cloud.kubernetes_versions[row["kubernetesversionid"]]["semanticversion"]:
        raise errors.invalid("Kubernetes cluster cannot be downgraded")
    row["kubernetesversionid"], row["kubernetesversionname"] = version["id"], version["name"]
    return visible(row)


@job("deleteKubernetesCluster")
def delete_kubernetes_cluster(cloud: Cloud, params: Params) -> dict[str, Any]:
    row = params.entity(cloud.clusters, "id")
    for vm in _nodes(cloud, row):
        expunge(cloud, vm)
    for address in cloud.addresses.values():
        if address["ipaddress"] == row["ipaddress"]:
            for rule in [r for r in cloud.firewall_rules.values() if r["ipaddressid"] == address["id"]]:
                del cloud.firewall_rules[rule["id"]]
    del cloud.clusters[row["id"]]
    return {}
