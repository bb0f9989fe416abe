"""The inventory of Solid Cloud end to end: a double of the cloud, real Terraform, its outputs, and the platform's roles on a real cluster.

The machines are records of the double, so the cluster is the local one, named by its kubeconfig. The roles compare with it what they would
install, into a namespace of its own: upstream's images cannot be pulled there.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.solid_cloud.conftest import cloud, initialised, site, terraform_config, workspace

from .conftest import KUBECONFIG, kubectl

if TYPE_CHECKING:
    from tests.doubles.cloudstack.api.cloud import Cloud
    from tests.integration.solid_cloud.conftest import Site

__all__ = ["cloud", "initialised", "site", "terraform_config", "workspace"]

NAMESPACE = "solid-cloud-e2e"


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, Any]:
    """A cluster that is there, and a place of our own on it."""
    kubeconfig = tmp_path / "kubeconfig"
    shutil.copy(KUBECONFIG, kubeconfig)
    return {
        "titanium_cluster_exists": True,
        "titanium_terraform": True,
        "titanium_kubeconfig": str(kubeconfig),
        # Nothing of the mesh that runs there: this namespace is not in it.
        "titanium_mesh": False,
        "postgresql_namespace": NAMESPACE,
        "redis_namespace": NAMESPACE,
        "blog_namespace": NAMESPACE,
    }


@pytest.mark.timeout(900)
def test_from_keys_to_a_platform(site: Site, cloud: Cloud, variables: dict[str, Any]) -> None:
    site.extra = variables
    site.must("playbooks/cloud.yml")
    assert cloud.holdings()["instances"] == ["titanium-control-plane-1", "titanium-worker-1", "titanium-worker-2"]

    site.environment |= {"TITANIUM_APP_REGISTRY": "registry.example.org/titanium", "TITANIUM_APP_VERSION": "1.0"}
    checked = site.must("site.yml", "--tags", "cloud,cluster,data,blog", "--check", "--diff")
    # The machines are in the inventory, and k3s is left out: the cluster is there.
    assert re.search(r"^titanium-worker-2 .*changed=0 .*failed=0 +skipped=[1-9]", checked.output, re.MULTILINE), (
        checked.output
    )
    assert f"namespace: {NAMESPACE}" in checked.output
    for service in ("api-gateway", "auth-service", "user-service", "blog-service", "migrations"):
        assert f"image: registry.example.org/titanium/{service}:1.0" in checked.output
    assert kubectl("get", "namespace", NAMESPACE, "--ignore-not-found") == ""

    site.must("playbooks/destroy.yml", "-e", "destroy_confirm=yes", "-e", "solid_cloud_delete_data=true")
    assert cloud.holdings() == {}
    assert Path(variables["titanium_kubeconfig"]).exists(), "it was not made here"
