"""What the cloud offers, and what the account may use of it."""

from __future__ import annotations

from typing import Any

from tests.doubles.cloudstack.api.cloud import QUOTAS, Cloud
from tests.doubles.cloudstack.api.registry import Params, listing, sync


@sync("listCapabilities")
def list_capabilities(cloud: Cloud, params: Params) -> dict[str, Any]:
    del cloud, params
    return {"capability": {"cloudstackversion": "4.20.1.0", "kubernetesserviceenabled": True}}


@sync("listZones")
def list_zones(cloud: Cloud, params: Params) -> dict[str, Any]:
    return listing(params, cloud.zones, "zone", "name")


@sync("listServiceOfferings")
def list_service_offerings(cloud: Cloud, params: Params) -> dict[str, Any]:
    return listing(params, cloud.service_offerings, "serviceoffering", "name")


@sync("listDiskOfferings")
def list_disk_offerings(cloud: Cloud, params: Params) -> dict[str, Any]:
    return listing(params, cloud.disk_offerings, "diskoffering", "name")


@sync("listNetworkOfferings")
def list_network_offerings(cloud: Cloud, params: Params) -> dict[str, Any]:
    return listing(params, cloud.network_offerings, "networkoffering", "name")


@sync("listTemplates")
def list_templates(cloud: Cloud, params: Params) -> dict[str, Any]:
    params.need("templatefilter")
    return listing(params, cloud.templates, "template", "name", "zoneid")


@sync("listKubernetesSupportedVersions")
def list_kubernetes_versions(cloud: Cloud, params: Params) -> dict[str, Any]:
    return listing(params, cloud.kubernetes_versions, "kubernetessupportedversion", "zoneid")


@sync("listAccounts")
def list_accounts(cloud: Cloud, params: Params) -> dict[str, Any]:
    del params
    used = cloud.usage()
    account: dict[str, Any] = {"id": "5d0c3b0e-6a0b-4c52-8f0c-5b7d6f1c0a01", "name": "titanium", "state": "enabled"}
    for kind, (_, word) in QUOTAS.items():
        limit = cloud.limits.get(kind)
        account[f"{word}total"] = used[kind]
        account[f"{word}limit"] = "Unlimited" if limit is None else str(limit)
        account[f"{word}available"] = "Unlimited" if limit is None else str(limit - used[kind])
    return {"count": 1, "account": [account]}
