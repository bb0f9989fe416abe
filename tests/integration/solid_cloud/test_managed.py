"""CloudStack's own Kubernetes instead of machines: its kubeconfig comes to this machine, and the inventory uses it."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.doubles.cloudstack.api.cloud import Fault
from tests.integration.solid_cloud.test_machines import CLOUD, DESTROY, message

if TYPE_CHECKING:
    from tests.doubles.cloudstack.api.cloud import Cloud
    from tests.integration.solid_cloud.conftest import Site

KEY = "a2V5LW9mLXRoZS1hZG1pbmlzdHJhdG9y"


@pytest.mark.timeout(600)
def test_from_nothing_to_nothing(site: Site, cloud: Cloud) -> None:
    kubeconfig = Path(site.environment["XDG_STATE_HOME"]) / "titanium/solid-cloud/kubeconfig"
    site.variables |= {
        "mode": "managed",
        "template": None,
        "kubernetes_version": "v1.32.5-calico",
        "managed_api_is_public": True,
    }
    made = site.must(CLOUD, "--diff", "-vvv")
    cluster = cloud.named(cloud.clusters, "titanium")
    content = yaml.safe_load(kubeconfig.read_text())
    assert content["clusters"][0]["cluster"]["server"] == f"https://{cluster['ipaddress']}:6443/"
    assert content["users"][0]["user"]["client-key-data"] == KEY
    assert stat.S_IMODE(kubeconfig.stat().st_mode) == 0o600
    assert KEY not in made.output
    shown = site.resolved(
        "localhost", "titanium_kubeconfig", "titanium_k3s", "istio_cni_bin_dir", "terraform_inventory"
    )
    assert shown["terraform_inventory"]["managed_cluster_id"] == cluster["id"]
    assert (shown["titanium_kubeconfig"], shown["titanium_k3s"]) == (str(kubeconfig), False)
    assert shown["istio_cni_bin_dir"] == "/opt/cni/bin"
    assert site.must(CLOUD).recap("changed") == 0
    assert "nothing forwards the web ports of CloudStack's own cluster" in site.play("playbooks/verify.yml").flat

    # What does not come replaces nothing.
    before = kubeconfig.read_text()
    text = "Setup is in progress for Kubernetes cluster : titanium, config not available at this moment"
    cloud.faults.append(Fault("getKubernetesClusterConfig", 530, text))
    assert message(site.play(CLOUD)) == [f"getKubernetesClusterConfig: the cloud answers 530: {text}"]
    cluster["_kubeconfig"] = ""
    [line] = message(site.play(CLOUD))
    assert line == f"the cloud has no kubeconfig of the cluster {cluster['id']}; its console tells the state"
    assert kubeconfig.read_text() == before

    site.must(DESTROY, "-e", "destroy_confirm=yes")
    assert cloud.holdings() == {}
    assert not kubeconfig.exists()
