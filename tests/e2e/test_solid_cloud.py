"""The inventory of Solid Cloud end to end: a double of the cloud, real Terraform, its outputs, and the platform's roles on a real cluster.

The machines are records of the double, so the cluster is the local one, named by its kubeconfig; everything before and after k3s is as
on the cloud. What is installed has a namespace of its own.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.solid_cloud.conftest import cloud, initialised, site, terraform_config, workspace

from .conftest import EDGE, KUBECONFIG, kubectl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.doubles.cloudstack.api.cloud import Cloud
    from tests.integration.solid_cloud.conftest import Site

__all__ = ["cloud", "initialised", "site", "terraform_config", "workspace"]

NAMESPACE = "solid-cloud-e2e"


def running(kind: str, name: str) -> str:
    """The image that the local platform runs: upstream's cannot be pulled here."""
    return kubectl(
        *("-n", "titanium-prod", "get", kind, name, "-o"), "jsonpath={.spec.template.spec.containers[0].image}"
    )


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
        "postgresql_image": running("statefulset", "postgresql"),
        "redis_namespace": NAMESPACE,
        "redis_image": running("statefulset", "redis"),
        "platform_verify_url": EDGE,
    }


@pytest.fixture
def namespace() -> Iterator[None]:
    yield
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=90s")


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("namespace")
def test_from_keys_to_a_platform(site: Site, cloud: Cloud, variables: dict[str, Any]) -> None:
    site.extra = variables
    layers = ("site.yml", "--tags", "cloud,cluster,data")
    first = site.must(*layers)
    assert cloud.holdings()["instances"] == ["titanium-control-plane-1", "titanium-worker-1", "titanium-worker-2"]
    # They are in the inventory from the moment Terraform has made them, and k3s is left out: the cluster is there.
    assert re.search(r"^titanium-worker-2 .*failed=0 +skipped=[1-9]", first.output, re.MULTILINE), first.output
    pods = json.loads(kubectl("-n", NAMESPACE, "get", "pods", "-o", "json"))["items"]
    assert {pod["status"]["phase"] for pod in pods} == {"Running"}
    assert {pod["metadata"]["labels"]["app.kubernetes.io/name"] for pod in pods} == {"postgresql", "redis"}

    again = site.must(*layers)
    assert again.recap("changed") == 0, again.output

    # The application, with images of a registry: rendered and compared with the cluster, not rolled out.
    site.environment |= {"TITANIUM_APP_REGISTRY": "registry.example.org/titanium", "TITANIUM_APP_VERSION": "1.0"}
    site.extra = variables | {"blog_namespace": NAMESPACE}
    checked = site.must("site.yml", "--tags", "blog", "--check", "--diff")
    for service in ("api-gateway", "auth-service", "user-service", "blog-service", "migrations"):
        assert f"image: registry.example.org/titanium/{service}:1.0" in checked.output

    site.must("playbooks/verify.yml")
    site.must("playbooks/destroy.yml", "-e", "destroy_confirm=yes", "-e", "solid_cloud_delete_data=true")
    assert cloud.holdings() == {}
    assert Path(variables["titanium_kubeconfig"]).exists(), "it was not made here"
