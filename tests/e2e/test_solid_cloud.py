"""The inventory of Solid Cloud end to end: from an account's keys to a platform that answers, and back to an empty account.

Real are Terraform, SSH, Ansible, and the cluster: the local one. Doubles are the cloud's API, Terraform's provider, the machines (hosts
of namespaces that boot when the cloud has made them) and k3s on them, whose kubeconfig is the local cluster's. The cloud's public
address is that of the local cluster's node, so that no address is put in by hand.

What the mesh's role would do is only compared: beside the platform that runs there it cannot have a control plane of its own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
import yaml

from tests.doubles import k3s as doubles
from tests.integration.k3s.lab import NEW, Lab
from tests.integration.solid_cloud.conftest import cloud, initialised, site, terraform_config, workspace

from .conftest import KUBECONFIG, ROOT, kubectl
from .mesh import newest_istioctl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.doubles.cloudstack.api.cloud import Cloud
    from tests.integration.solid_cloud.conftest import Site

__all__ = ["cloud", "initialised", "site", "terraform_config", "workspace"]

NAMESPACE = "solid-cloud-e2e"
MACHINES = ["titanium-control-plane-1", "titanium-worker-1"]
#: The platform that runs there has the other one.
NODE_PORT = 31394
OVERLAY = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [{path}]
patches:
  - target: {{kind: Service, name: api-gateway}}
    patch: |
      - {{op: replace, path: /spec/ports/1/nodePort, value: {port}}}
"""
CLOUD_INIT = "#!/bin/sh\necho 'status: done'\n"
#: Connects to a machine as the cloud's forwarding rules say; there is nobody as long as there is none.
FORWARD = """\
#!/bin/sh
read -r pid address <"{folder}/$1" || exit 1
exec nsenter --net="/proc/$pid/ns/net" bash -c 'exec 3<>"/dev/tcp/$0/22" && {{ cat <&3 & exec cat >&3; }}' "$address"
"""
#: What would change the platform that runs there: its mesh, what measures it, and who keeps it in sync.
LEFT_OUT = ("--skip-tags", "mesh,metrics,logs,gitops,dashboards")


@dataclass
class Hypervisor:
    """Boots what the cloud has made, and forwards what it says."""

    cloud: Cloud
    lab: Lab
    forwards: Path
    trouble: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._over.wait(0.2):
            try:
                self._look()
            except BaseException as error:  # noqa: BLE001  # a thread's end is silent; the test tells it
                self.trouble.append(error)
                return

    def _look(self) -> None:
        with self.cloud.lock:
            machines = {vm["name"]: vm["nic"][0]["ipaddress"] for vm in self.cloud.instances.values()}
            rules = [(rule["publicport"], rule["vmguestip"]) for rule in self.cloud.forwards.values()]
        for name, address in machines.items():
            if name not in self.lab.hosts:
                self.lab.boot(name, address)
        names = {address: name for name, address in machines.items()}
        for port, address in rules:
            if address in names:
                (self.forwards / port).write_text(f"{self.lab.hosts[names[address]].pid} {address}\n")


@pytest.fixture
def lab() -> Iterator[Lab]:
    """The cloud's private network, with nothing in it yet; the nodes' administrator is the local cluster's."""
    # Not pytest's own folder, whose path would make those of SSH's sockets too long.
    with tempfile.TemporaryDirectory(prefix="solid-") as name:
        made = Lab(Path(name), servers=[], agents=[], gateway="10.10.0.1")
        (made.doubles / "cloud-init").write_text(CLOUD_INIT)
        shutil.copy(KUBECONFIG, made.cluster / "kubeconfig")
        with made:
            yield made


@pytest.fixture
def hypervisor(lab: Lab, cloud: Cloud) -> Iterator[Hypervisor]:
    forwards = lab.folder / "forwards"
    forwards.mkdir()
    with Hypervisor(cloud, lab, forwards) as running:
        yield running
    assert running.trouble == []


def running_images() -> dict[str, str]:
    """The images of the platform that runs, by container: upstream's cannot be pulled here."""
    pods = json.loads(kubectl("-n", "titanium-prod", "get", "pods,jobs", "-o", "json"))["items"]
    specs = [pod["spec"].get("template", pod)["spec"] for pod in pods]
    return {container["name"]: container["image"] for spec in specs for container in spec["containers"]}


@pytest.fixture
def operator(site: Site, cloud: Cloud, lab: Lab, hypervisor: Hypervisor, tmp_path: Path) -> Iterator[Site]:
    """Somebody with the account's keys, and a place of their own on the local cluster."""
    server = yaml.safe_load(KUBECONFIG.read_text())["clusters"][0]["cluster"]["server"]
    address = re.fullmatch(r"https://([\d.]+):6443", server)
    assert address, server
    cloud.public_addresses.append(address[1])

    for suffix in ("", ".pub"):
        shutil.copy(lab.doubles / f"client_key{suffix}", site.environment["TITANIUM_SSH_KEY"] + suffix)
    site.environment["ANSIBLE_SSH_CONTROL_PATH_DIR"] = str(lab.folder / "ssh")
    site.variables |= {
        "ssh_public_key": (lab.doubles / "client_key.pub").read_text().strip(),
        "workers": {"service_offering": "Large Instance", "count": 1, "data_volume_gb": 0},
    }
    forward = lab.folder / "forward"
    forward.write_text(FORWARD.format(folder=hypervisor.forwards))
    forward.chmod(0o755)
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    upstream = os.path.relpath(ROOT / "gitops/overlays/solid-cloud-without-mesh", overlay.resolve())
    (overlay / "kustomization.yaml").write_text(OVERLAY.format(path=upstream, port=NODE_PORT))
    releases = tmp_path / "mirror/github.com/k3s-io/k3s/releases/download"
    images = running_images()
    services = ("migrations", "user-service", "auth-service", "blog-service", "api-gateway")
    site.extra = {
        "ansible_python_interpreter": sys.executable,
        # The hosts have no other account.
        "ansible_user": "root",
        "ansible_ssh_extra_args": f"-o ProxyCommand='{forward} %p'",
        "titanium_download_mirror": f"file://{tmp_path}/mirror",
        "k3s_checksums": {NEW: {"amd64": doubles.release(releases, NEW)}},
        "titanium_mesh": False,
        "postgresql_namespace": NAMESPACE,
        "postgresql_image": images["postgresql"],
        "postgresql_storage_size": "256Mi",
        "redis_namespace": NAMESPACE,
        "redis_image": images["redis"],
        "blog_namespace": NAMESPACE,
        "blog_images": {name: images[name] for name in services},
        "blog_overlay": str(overlay),
        "blog_replicas": 1,
        # Argo CD's is the platform that runs there.
        "blog_application": "",
        "blog_url": f"http://{address[1]}:{NODE_PORT}",
    }
    # A machine that does not come would be waited for as long as a real one.
    site.extra["solid_cloud_wait_timeout"] = 60
    yield site
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=110s", check=False)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_from_keys_to_a_platform_and_back(operator: Site, cloud: Cloud, lab: Lab) -> None:
    state = Path(operator.environment["XDG_STATE_HOME"]) / "titanium/solid-cloud"
    before = mesh()

    made = operator.must("site.yml", *LEFT_OUT)
    assert cloud.holdings()["instances"] == MACHINES
    assert set(re.findall(r"^(\S+)\s+: ok=", made.output, re.MULTILINE)) == {"localhost", *MACHINES}
    # k3s on the machines, by their private addresses; its kubeconfig leads to the public one.
    assert {name: node["ip"] for name, node in lab.nodes().items()} == {name: lab.addresses[name] for name in MACHINES}
    assert lab.events() == [("start", name) for name in MACHINES]
    kubeconfig = state / "kubeconfig"
    assert stat.S_IMODE(kubeconfig.stat().st_mode) == 0o600
    [address] = cloud.addresses.values()
    written = yaml.safe_load(kubeconfig.read_text())
    assert written["clusters"][0]["cluster"]["server"] == f"https://{address['ipaddress']}:6443"
    for name in ("api-gateway", "auth-service", "user-service", "blog-service"):
        ready = kubectl("-n", NAMESPACE, "get", "deployment", name, "-o", "jsonpath={.status.readyReplicas}")
        assert ready == "1", name

    verified = operator.must("playbooks/verify.yml")
    for step in ("sign up", "log in", "write a post", "read it back", "delete the post"):
        assert step in verified.output

    calls = len(cloud.commands(writing=True))
    again = operator.must("site.yml", *LEFT_OUT)
    assert again.recap("changed") == 0, again.output
    assert len(cloud.commands(writing=True)) == calls

    # The mesh, from upstream's images, is what is left: compared with the cluster, and nothing of it changed.
    operator.extra |= {"titanium_mesh": True, "istio_istioctl": str(newest_istioctl())}
    compared = operator.must("site.yml", "--tags", "mesh", "--check", "--diff")
    locked = yaml.safe_load((ROOT / "lock.yml").read_text())["images"]
    for name in ("istio-pilot", "istio-proxy", "istio-cni"):
        assert f"{locked[name]['repository']}:{locked[name]['tag']}" in compared.output
    assert mesh() == before

    operator.must("playbooks/destroy.yml", "-e", "destroy_confirm=yes")
    assert cloud.holdings() == {}
    assert [path.name for path in state.iterdir()] == ["secrets"]


def mesh() -> str:
    """What there is of the mesh, with its versions."""
    kinds = "deployments,daemonsets,services,configmaps,mutatingwebhookconfigurations"
    shown = 'jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.generation}{"\\n"}{end}'
    return kubectl("-n", "istio-system", "get", kinds, "-o", shown)
