"""Every overlay renders, and what it renders keeps the rules of the house."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
OVERLAYS = ("local", "local-without-mesh", "minikube", "solid-cloud", "solid-cloud-without-mesh")
PORTS = {"api-gateway": 8000, "user-service": 8001, "auth-service": 8002, "blog-service": 8005}
# Secrets and their keys, from CONTRIBUTING.md.
SECRETS = {
    "postgresql": {"migrator-password", "auth-service-password", "user-service-password", "blog-service-password"},
    "redis": {"password"},
}
Manifest = dict[str, Any]


@functools.cache
def render(folder: str) -> tuple[Manifest, ...]:
    """Return the objects of a kustomization."""
    kubectl = Path(sys.executable).parent / "kubectl"
    process = subprocess.run([kubectl, "kustomize", ROOT / folder], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return tuple(yaml.safe_load_all(process.stdout))


@functools.cache
def render_with(overlay: str, component: str) -> tuple[Manifest, ...]:
    """Return the objects of an overlay with a component on top, put together as the role blog does it."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder).resolve()
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [os.path.relpath(ROOT / "gitops/overlays" / overlay, here)],
            "components": [os.path.relpath(ROOT / "gitops/components" / component, here)],
        }
        (here / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return render.__wrapped__(str(here))


def of_kind(overlay: str, kind: str) -> dict[str, Manifest]:
    """Return an overlay's objects of a kind, by name."""
    return {m["metadata"]["name"]: m for m in render(f"gitops/overlays/{overlay}") if m["kind"] == kind}


def workloads(overlay: str) -> dict[str, Manifest]:
    """Return an overlay's Deployments and Jobs, by name."""
    return of_kind(overlay, "Deployment") | of_kind(overlay, "Job")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_has_every_service(overlay: str) -> None:
    assert set(of_kind(overlay, "Deployment")) == set(PORTS)
    assert set(of_kind(overlay, "Job")) == {"migrations"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_all_in_one_namespace_that_refuses_privileges(overlay: str) -> None:
    namespaces = {
        m["metadata"].get("namespace") for m in render(f"gitops/overlays/{overlay}") if m["kind"] != "Namespace"
    }
    assert namespaces == {"titanium-prod"}
    labels = of_kind(overlay, "Namespace")["titanium-prod"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_are_restricted(overlay: str) -> None:
    for name, workload in workloads(overlay).items():
        pod = workload["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] >= 10000, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}, name
            assert "memory" in container["resources"]["limits"], name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_has_an_identity_of_its_own_without_a_token(overlay: str) -> None:
    accounts = of_kind(overlay, "ServiceAccount")
    used = [w["spec"]["template"]["spec"]["serviceAccountName"] for w in workloads(overlay).values()]
    assert len(set(used)) == len(used)
    assert set(used) == set(accounts)
    assert all(account["automountServiceAccountToken"] is False for account in accounts.values())
    for name, workload in workloads(overlay).items():
        assert workload["spec"]["template"]["spec"]["automountServiceAccountToken"] is False, name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_labels_tell_services_apart(overlay: str) -> None:
    for name, workload in workloads(overlay).items():
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == name
        assert labels["app"] == name
        assert labels["app.kubernetes.io/part-of"] == "titanium"
    for name, deployment in of_kind(overlay, "Deployment").items():
        assert deployment["spec"]["selector"]["matchLabels"] == {"app.kubernetes.io/name": name}
        assert deployment["spec"]["template"]["metadata"]["labels"]["version"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_services_have_named_ports_that_lead_somewhere(overlay: str) -> None:
    deployments = of_kind(overlay, "Deployment")
    for name, service in of_kind(overlay, "Service").items():
        assert service["spec"]["selector"] == {"app.kubernetes.io/name": name}
        ports = {port["name"]: port for port in service["spec"]["ports"]}
        assert ports["http"]["port"] == PORTS[name]
        container = deployments[name]["spec"]["template"]["spec"]["containers"][0]
        listening = {port["name"] for port in container["ports"]}
        assert {port["targetPort"] for port in ports.values()} <= listening
        assert {"name": "PORT", "value": str(PORTS[name])} in container["env"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_only_the_edge_is_reachable_from_outside(overlay: str) -> None:
    outside = {
        (name, port["name"], port["nodePort"])
        for name, service in of_kind(overlay, "Service").items()
        for port in service["spec"]["ports"]
        if "nodePort" in port
    }
    # In the mesh it is the ingress gateway that has the node port.
    assert outside == (set() if of_kind(overlay, "Gateway") else {("api-gateway", "http-edge", 31304)})


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_rollouts_drop_nothing(overlay: str) -> None:
    budgets = of_kind(overlay, "PodDisruptionBudget")
    autoscalers = of_kind(overlay, "HorizontalPodAutoscaler")
    for name, deployment in of_kind(overlay, "Deployment").items():
        if autoscalers:
            # One owner: a number in the manifest would take back what the autoscaler did.
            assert "replicas" not in deployment["spec"], name
            assert autoscalers[name]["spec"]["minReplicas"] >= 2, name
        else:
            assert deployment["spec"]["replicas"] >= 2, name
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0, name
        assert budgets[name]["spec"]["selector"] == deployment["spec"]["selector"]
        pod = deployment["spec"]["template"]["spec"]
        container = pod["containers"][0]
        assert container["readinessProbe"]["httpGet"]["path"] == "/ready", name
        assert container["livenessProbe"]["httpGet"]["path"] == "/health", name
        assert container["startupProbe"]["httpGet"]["path"] == "/health", name
        # shutdown_delay and shutdown_timeout of the services' settings are 20 s together.
        assert pod["terminationGracePeriodSeconds"] > container["lifecycle"]["preStop"]["sleep"]["seconds"] + 20, name
        assert pod["topologySpreadConstraints"][0]["labelSelector"] == deployment["spec"]["selector"], name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_secrets_are_referred_to_and_never_written(overlay: str) -> None:
    assert not of_kind(overlay, "Secret")
    for name, workload in workloads(overlay).items():
        for variable in workload["spec"]["template"]["spec"]["containers"][0]["env"]:
            if "PASSWORD" in variable["name"]:
                reference = variable["valueFrom"]["secretKeyRef"]
                assert reference["key"] in SECRETS[reference["name"]], name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_service_has_its_own_database_role(overlay: str) -> None:
    users = {}
    for name, workload in workloads(overlay).items():
        env = {v["name"]: v for v in workload["spec"]["template"]["spec"]["containers"][0]["env"]}
        if "DATABASE_USER" in env:
            users[name] = env["DATABASE_USER"]["value"]
            key = env["DATABASE_PASSWORD"]["valueFrom"]["secretKeyRef"]["key"]
            assert key == users[name].replace("_", "-") + "-password"
    assert users == {
        "user-service": "user_service",
        "auth-service": "auth_service",
        "blog-service": "blog_service",
        "migrations": "migrator",
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_migrations_come_before_what_needs_them(overlay: str) -> None:
    def wave(manifest: Manifest) -> int:
        return int(manifest["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave", 0))

    job = of_kind(overlay, "Job")["migrations"]
    assert wave(job) < min(wave(deployment) for deployment in of_kind(overlay, "Deployment").values())
    for needed in (
        of_kind(overlay, "ServiceAccount")["migrations"],
        of_kind(overlay, "ConfigMap")["service-environment"],
    ):
        assert wave(needed) <= wave(job)


def test_images_are_placeholders_that_the_inventory_fills() -> None:
    """So that the base can't run an image by accident that nobody chose."""
    images = {
        container["image"]
        for manifest in render("gitops/base")
        for container in manifest.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    }
    assert images == {*PORTS, "migrations"}
    local = yaml.safe_load((ROOT / "inventories/local/group_vars/all/blog.yml").read_text())["blog_images"]
    assert set(local) == images


def test_no_two_objects_share_an_identity() -> None:
    for overlay in OVERLAYS:
        keys = [
            json.dumps([m["apiVersion"], m["kind"], m["metadata"]["name"]])
            for m in render(f"gitops/overlays/{overlay}")
        ]
        assert len(keys) == len(set(keys)), overlay
