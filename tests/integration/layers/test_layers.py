"""Metrics, logs, traces, dashboards and GitOps of the inventories that pull upstream's images, on a real API server.

The playbooks run as users run them, twice. The API server and its controllers are real; doubles are the node (`node.py`), on which every pod
is ready at once, and what Prometheus' operator, Loki and Jaeger would answer. So all that is applied is accepted by Kubernetes and by the CRDs of
the releases, and what a cluster's own parts make of it is not seen.
"""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from plugins.lookup.lock import image
from plugins.lookup.rendered_images import LookupModule
from tests.harness.releases import ROOT, releases
from tests.integration.layers.node import Node
from tests.integration.plugins.control_plane import ControlPlane
from tests.integration.solid_cloud.conftest import Play, Site, operator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

LAYERS = ("--tags", "metrics,logs,traces,gitops,dashboards")
ALL_ON: dict[str, Any] = {f"titanium_{layer}": True for layer in ("metrics", "logs", "traces", "gitops", "grafana")}
LOCKED = {name: image(entry) for name, entry in yaml.safe_load((ROOT / "lock.yml").read_text())["images"].items()}
RULES = {path.stem for path in (ROOT / "roles/prometheus/files/rules").glob("*.yaml")}
DASHBOARDS = {path.stem for path in (ROOT / "roles/grafana/files/dashboards").glob("*.json")}
REPOSITORY = "https://git.example.org/titanium.git"
#: What runs which image, without Argo CD's.
RUNS = {
    "Deployment/prometheus-operator/prometheus-operator": "prometheus-operator",
    "Prometheus/prometheus": "prometheus",
    "Alertmanager/alertmanager": "alertmanager",
    "DaemonSet/node-exporter/node-exporter": "node-exporter",
    "Deployment/metrics-exporters/postgresql": "postgres-exporter",
    "Deployment/metrics-exporters/redis": "redis-exporter",
    "Deployment/kube-state-metrics/kube-state-metrics": "kube-state-metrics",
    "StatefulSet/loki/loki": "loki",
    "DaemonSet/otel-collector/otel-collector": "otel-collector",
    "StatefulSet/jaeger/jaeger": "jaeger",
    "Deployment/grafana/grafana": "grafana",
}
#: Pod Security as the role k3s has it, and the application's own.
NAMESPACES = {"monitoring": "baseline", "argocd": "baseline", "titanium-prod": "restricted"}


def operators_machine(inventory: str, folder: Path) -> Site:
    """A machine with that inventory filled in, and a mirror with the releases' manifests instead of the Internet."""
    (folder / "mirror").mkdir()
    made = operator(dict(os.environ), folder)
    made.inventory = f"inventories/{inventory}"
    made.environment |= {
        "TITANIUM_TERRAFORM_DIR": str(folder / "no-terraform"),
        "TITANIUM_APP_REGISTRY": "registry.example.org/titanium",
        "TITANIUM_APP_VERSION": "1.0",
        "TITANIUM_GIT_URL": REPOSITORY,
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    made.extra = {"titanium_download_mirror": releases(folder / "mirror")}
    return made


def render(site: Site, folder: Path, **variables: Any) -> Path:
    """Write what the inventory's layers would apply to files, as a bundle is made, and return their folder."""
    folder.mkdir()
    site.environment["TITANIUM_RENDER_TO"] = str(folder)
    try:
        site.must("site.yml", *LAYERS, "--check", "-e", json.dumps(variables))
    finally:
        del site.environment["TITANIUM_RENDER_TO"]
    return folder


def rendered(folder: Path, kind: str) -> dict[str, dict[str, Any]]:
    """Rendered objects of a kind, by name."""
    objects = [item for path in folder.glob("*.yaml") for item in yaml.safe_load_all(path.read_text())]
    return {item["metadata"]["name"]: item for item in objects if item["kind"] == kind}


@dataclass(frozen=True)
class Place:
    """An inventory whose layers are all installed."""

    inventory: str
    site: Site
    plane: ControlPlane
    node: Node
    again: Play

    def items(self, path: str) -> list[dict[str, Any]]:
        """Objects at an address of the API."""
        found: list[dict[str, Any]] = self.plane.get(path)["items"]
        return found

    def monitoring(self, kind: str, version: str = "v1") -> dict[str, dict[str, Any]]:
        """The operator's custom resources of all namespaces, by name."""
        return {item["metadata"]["name"]: item for item in self.items(f"/apis/monitoring.coreos.com/{version}/{kind}")}

    @property
    def workloads(self) -> dict[str, dict[str, Any]]:
        """Templates of pods, by kind and name."""
        kinds = {"Deployment": "deployments", "DaemonSet": "daemonsets", "StatefulSet": "statefulsets"}
        return {
            f"{kind}/{item['metadata']['name']}": item["spec"]["template"]["spec"]
            for kind, path in kinds.items()
            for item in self.items(f"/apis/apps/v1/{path}")
        }

    @property
    def images(self) -> dict[str, str]:
        """What runs which image: containers, and custom resources that an operator makes containers of."""
        custom = {
            f"{kind}/{name}": item["spec"]["image"]
            for kind, path in {"Prometheus": "prometheuses", "Alertmanager": "alertmanagers"}.items()
            for name, item in self.monitoring(path).items()
        }
        return custom | {
            f"{name}/{container['name']}": container["image"]
            for name, pod in self.workloads.items()
            for container in [*pod["containers"], *pod.get("initContainers", [])]
        }


@pytest.fixture(scope="module", params=["solid-cloud", "minikube"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp(request.param)
    site = operators_machine(request.param, folder)
    if request.param == "solid-cloud":
        site.environment |= {"TITANIUM_GIT_USERNAME": "robot", "TITANIUM_GIT_PASSWORD": "let-me-in"}
    (folder / "plane").mkdir()
    plane = ControlPlane(folder / "plane")
    try:
        plane.start()
        for name, level in NAMESPACES.items():
            labels = {"pod-security.kubernetes.io/enforce": level}
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
            plane.create("/api/v1/namespaces", body)
        # Here it takes moments, or never.
        roles = ("prometheus", "loki", "otel_collector", "jaeger", "grafana", "argocd")
        site.extra |= {f"{role}_wait_timeout": 90 for role in roles}
        # What Argo CD makes of its repository is its own business.
        site.extra |= ALL_ON | {"titanium_kubeconfig": str(plane.kubeconfig), "argocd_wait": False}
        with Node(plane) as node:
            site.must("site.yml", *LAYERS)
            yield Place(request.param, site, plane, node, site.must("site.yml", *LAYERS))
            assert node.trouble == []
    finally:
        plane.stop()


@pytest.mark.timeout(900)
def test_a_second_run_changes_nothing(place: Place) -> None:
    assert place.again.recap("changed") == 0, place.again.output
    # And there is nothing that waits for a pod that was refused.
    for item in place.items("/apis/apps/v1/deployments"):
        assert item["status"]["availableReplicas"] == item["spec"]["replicas"], item["metadata"]["name"]


def test_images_are_the_lock_files(place: Place) -> None:
    images = place.images
    argocd = {name: reference for name, reference in images.items() if "/argocd-" in name}
    assert {name: r for name, r in images.items() if name not in argocd} == {n: LOCKED[i] for n, i in RUNS.items()}
    assert argocd
    for name, reference in argocd.items():
        assert reference == LOCKED["redis" if name.startswith("Deployment/argocd-redis/") else "argocd"], name
    [container] = place.workloads["Deployment/prometheus-operator"]["containers"]
    assert f"--prometheus-config-reloader={LOCKED['prometheus-config-reloader']}" in container["args"]
    # The operator writes configuration for the versions in these images.
    for kind, name in {"prometheuses": "prometheus", "alertmanagers": "alertmanager"}.items():
        [made] = place.monitoring(kind).values()
        assert f":{made['spec']['version']}@" in LOCKED[name]


def test_a_bundle_would_have_every_image(place: Place, tmp_path: Path) -> None:
    folder = render(place.site, tmp_path / "rendered")
    listed = set(LookupModule().run([str(folder)]))
    running = set(place.images.values()) | {LOCKED["prometheus-config-reloader"]}
    assert running <= listed, f"outside the list: {sorted(running - listed)}"
    assert listed <= set(LOCKED.values()), f"outside lock.yml: {sorted(listed - set(LOCKED.values()))}"


def test_paths_of_the_nodes_are_those_of_such_a_cluster(place: Place) -> None:
    paths = {
        name: {volume["hostPath"]["path"] for volume in pod.get("volumes", []) if "hostPath" in volume}
        for name, pod in place.workloads.items()
    }
    logs = {"/var/log/pods", "/var/lib/otel-collector"}
    if place.inventory == "minikube":
        # Its runtime is Docker, and pods' log files are links into that folder, which they must find at the same place.
        logs.add("/var/lib/docker/containers")
    assert {name: found for name, found in paths.items() if found} == {
        "DaemonSet/node-exporter": {"/", "/proc", "/sys"},
        "DaemonSet/otel-collector": logs,
    }
    pod = place.workloads["DaemonSet/otel-collector"]
    mounted = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    sources = {volume["name"]: volume["hostPath"]["path"] for volume in pod["volumes"] if "hostPath" in volume}
    assert {source: mounted[name] for name, source in sources.items()} == {source: source for source in logs}
    root = place.workloads["DaemonSet/node-exporter"]["containers"][0]["volumeMounts"][-1]
    assert root["mountPropagation"] == "HostToContainer"


def jobs(place: Place) -> set[str]:
    """The jobs of all targets that Prometheus is told of."""
    found = {item["spec"]["jobName"] for item in place.monitoring("scrapeconfigs", "v1alpha1").values()}
    for kind, endpoints in {"servicemonitors": "endpoints", "podmonitors": "podMetricsEndpoints"}.items():
        for name, item in place.monitoring(kind).items():
            spec = item["spec"]
            if "jobLabel" in spec:
                [expression] = spec["selector"]["matchExpressions"]
                assert expression["key"] == spec["jobLabel"], name
                found |= set(expression["values"])
                continue
            relabelings = [entry for endpoint in spec[endpoints] for entry in endpoint.get("relabelings", [])]
            named = {entry["replacement"] for entry in relabelings if entry.get("targetLabel") == "job"}
            found |= named or {name}
    return found


def test_nothing_is_missed_that_is_not_there(place: Place) -> None:
    """Targets are those that such a cluster has, and no alert waits for others."""
    # Of k3s and of minikube etcd, the controller manager and the scheduler answer on their own machine alone.
    assert set(place.monitoring("scrapeconfigs", "v1alpha1")) == {"kubelet", "cadvisor"}
    left_out = {"control-plane"} | (set() if place.inventory == "solid-cloud" else {"mesh"})
    rules = place.monitoring("prometheusrules")
    assert set(rules) == RULES - left_out
    expected = {
        job
        for item in rules.values()
        for group in item["spec"]["groups"]
        for rule in group["rules"]
        for job in re.findall(r'absent\(up\{job="([^"]+)"\}\)', rule["expr"])
    }
    assert {"kubelet", "api-gateway", "kube-state-metrics", "otel-collector"} <= expected
    assert expected <= jobs(place), f"no target: {sorted(expected - jobs(place))}"


def test_targets_are_asked_as_they_want_to_be(place: Place) -> None:
    [prometheus] = place.monitoring("prometheuses").values()
    classes = {entry["name"]: entry for entry in prometheus["spec"]["scrapeClasses"]}
    services = place.monitoring("servicemonitors")["titanium-services"]["spec"]
    if place.inventory == "solid-cloud":
        # k3s' authority has signed what kubelets show; the services let in nobody without the mesh's certificate.
        assert classes["cluster"]["tlsConfig"].get("insecureSkipVerify", False) is False
        assert (services["scrapeClass"], services["endpoints"][0]["scheme"]) == ("mesh", "https")
        assert prometheus["spec"]["podMetadata"]["labels"]["sidecar.istio.io/inject"] == "true"
        assert set(classes) == {"cluster", "mesh"}
    else:
        assert classes["cluster"]["tlsConfig"]["insecureSkipVerify"] is True
        assert ("scrapeClass" in services, services["endpoints"][0]["scheme"]) == (False, "http")
        assert set(classes) == {"cluster"}


def test_volumes_are_of_the_clusters_default_class(place: Place) -> None:
    for kind in ("prometheuses", "alertmanagers"):
        [made] = place.monitoring(kind).values()
        assert "storageClassName" not in made["spec"]["storage"]["volumeClaimTemplate"]["spec"], kind
    claim = place.plane.get("/api/v1/namespaces/monitoring/persistentvolumeclaims/data-loki-0")
    assert "storageClassName" not in claim["spec"]


def test_what_is_reached_from_outside(place: Place) -> None:
    # Argo CD's controller has a headless Service without any port.
    ports = {
        item["metadata"]["name"]: port["nodePort"]
        for item in place.items("/api/v1/services")
        for port in item["spec"].get("ports", [])
        if "nodePort" in port
    }
    if place.inventory == "solid-cloud":
        # Prometheus and Alertmanager ask nobody for a password.
        assert ports == {}
    else:
        assert ports == {"prometheus": 30090, "alertmanager": 30093, "grafana": 31300}
        published = yaml.safe_load((ROOT / "roles/minikube/defaults/main.yml").read_text())["minikube_ports"]
        assert set(ports.values()) <= set(published)


def test_grafana_has_what_there_is(place: Place) -> None:
    found = {item["metadata"]["name"]: item["data"] for item in place.items("/api/v1/namespaces/monitoring/configmaps")}
    sources = {entry["name"] for entry in json.loads(found["grafana"]["datasources.yaml"])["datasources"]}
    assert sources == {"Prometheus", "Alertmanager", "Loki", "Traces"}
    shown = {name.removeprefix("grafana-dashboard-") for name in found if name.startswith("grafana-dashboard-")}
    assert shown == DASHBOARDS - (set() if place.inventory == "solid-cloud" else {"mesh"})


def test_argo_cd_follows_the_repository(place: Place) -> None:
    secret = place.plane.get("/api/v1/namespaces/argocd/secrets/argocd-repository")
    assert secret["metadata"]["labels"]["argocd.argoproj.io/secret-type"] == "repository"
    values = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    login = {"username": "robot", "password": "let-me-in"} if place.inventory == "solid-cloud" else {}
    assert values == {"type": "git", "url": REPOSITORY, **login}

    base = "/apis/argoproj.io/v1alpha1/namespaces/argocd"
    project = place.plane.get(f"{base}/appprojects/blog")["spec"]
    assert project["sourceRepos"] == [REPOSITORY]
    assert project["destinations"] == [{"server": "https://kubernetes.default.svc", "namespace": "titanium-prod"}]
    application = place.plane.get(f"{base}/applications/blog")["spec"]
    source = application["source"]
    assert (source["repoURL"], source["targetRevision"]) == (REPOSITORY, "main")
    assert source["path"] == f"gitops/overlays/{place.inventory}"
    assert (ROOT / source["path"] / "kustomization.yaml").exists()
    assert application["project"] == "blog"
    assert application["destination"] == project["destinations"][0]
    # And it is measured.
    assert {"argocd-metrics", "argocd-repo-server"} <= set(place.monitoring("servicemonitors"))


@pytest.mark.timeout(600)
def test_off_removes_them(place: Place) -> None:
    """And leaves what is another layer's, and what was kept."""
    off = json.dumps({f"titanium_{layer}": False for layer in ("metrics", "logs", "traces", "grafana")})
    place.site.must("site.yml", *LAYERS, "-e", off)
    assert {name.split("/")[1].split("-")[0] for name in place.workloads} == {"argocd"}
    kinds = {item["spec"]["group"] for item in place.items("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")}
    assert kinds == {"argoproj.io"}
    assert place.plane.exists("/api/v1/namespaces/monitoring/persistentvolumeclaims/data-loki-0")
    again = place.site.must("site.yml", *LAYERS, "-e", off)
    assert again.recap("changed") == 0, again.output


def test_where_there_is_no_repository_it_says_so(tmp_path: Path) -> None:
    site = operators_machine("solid-cloud", tmp_path)
    del site.environment["TITANIUM_GIT_URL"]
    site.extra |= {"titanium_gitops": True}
    done = site.play("site.yml", "--tags", "gitops", "--check")
    assert done.status != 0
    assert "set TITANIUM_GIT_URL to the address of your git repository" in done.flat


def test_what_is_not_there_is_not_looked_at(tmp_path: Path) -> None:
    """Without a mesh, logs, traces and GitOps, and from a registry of one's own."""
    site = operators_machine("solid-cloud", tmp_path)
    off = {f"titanium_{layer}": False for layer in ("mesh", "logs", "gitops")}
    folder = render(site, tmp_path / "rendered", titanium_image_registry="registry.internal:5000", **off)
    assert set(rendered(folder, "PrometheusRule")) == RULES - {"control-plane", "mesh", "logs", "traces", "gitops"}
    data = rendered(folder, "ConfigMap")
    assert {name.removeprefix("grafana-dashboard-") for name in data if "-dashboard-" in name} == DASHBOARDS - {
        "mesh",
        "logs",
        "gitops",
    }
    sources = json.loads(data["grafana"]["data"]["datasources.yaml"])["datasources"]
    assert {entry["name"] for entry in sources} == {"Prometheus", "Alertmanager"}
    services = rendered(folder, "ServiceMonitor")["titanium-services"]["spec"]
    assert services["endpoints"][0]["scheme"] == "http"
    images = LookupModule().run([str(folder)])
    assert len(images) == 9
    assert [name for name in images if not name.startswith("registry.internal:5000/")] == []


@pytest.mark.parametrize(
    ("inventory", "on"),
    [("solid-cloud", {"metrics", "logs", "grafana"}), ("minikube", {"metrics"})],
)
def test_what_is_on_by_default(inventory: str, on: set[str], tmp_path: Path) -> None:
    site = operators_machine(inventory, tmp_path)
    names = {layer: f"titanium_{layer}" for layer in ("metrics", "logs", "traces", "grafana", "gitops")}
    found = site.resolved("localhost", *names.values())
    assert {layer for layer, name in names.items() if found[name]} == on


def test_a_bundle_of_local_has_all_layers(tmp_path: Path) -> None:
    """Where all images are built: what the layers run is built, and what they download is taken out of Go modules."""
    site = operators_machine("local", tmp_path)
    site.extra |= ALL_ON | {"titanium_grafana": False}
    listed = LookupModule().run([str(render(site, tmp_path / "rendered"))])
    names = {re.sub(r"^localhost/titanium/([\w-]+):[0-9a-f]{16}$", r"\1", reference) for reference in listed}
    # Kube-state-metrics and Grafana are in no package registry.
    assert names == set(RUNS.values()) - {"kube-state-metrics", "grafana"} | {
        *("prometheus-config-reloader", "argocd", "git-server", "redis"),
    }
    found = site.resolved("localhost", "bundle_downloads", "bundle_programs")
    assert set(found["bundle_downloads"]) == {"prometheus-operator", "argocd-core"}
    assert {"prometheus-operator", "loki", "otel-collector", "jaeger", "argocd"} <= set(found["bundle_programs"])
