"""skaffold.yaml says what is in the repository: images, Dockerfiles, overlay, ports and the profile's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from .test_manifests import Manifest, render

ROOT = Path(__file__).resolve().parents[3]
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
OVERLAY = "gitops/overlays/skaffold"

# The fields that the schema of skaffold/v4beta13 knows (https://skaffold.dev/docs/references/yaml/), where this file goes:
# a dictionary is an object, a list an array of what is in it, anything else a value of that type.
FLAGS: dict[str, Any] = {"global": [str], "apply": [str], "delete": [str], "disableValidation": bool}
SCHEMA: dict[str, Any] = {
    "apiVersion": str,
    "kind": str,
    "metadata": {"name": str, "labels": dict, "annotations": dict},
    "build": {
        "tagPolicy": {"inputDigest": {}, "gitCommit": dict, "sha256": {}, "envTemplate": dict, "dateTime": dict},
        "local": {
            "push": bool,
            "tryImportMissing": bool,
            "useDockerCLI": bool,
            "useBuildkit": bool,
            "concurrency": int,
        },
        "artifacts": [
            {
                "image": str,
                "context": str,
                "platforms": [str],
                "docker": {"dockerfile": str, "target": str, "buildArgs": dict, "network": str, "noCache": bool},
            }
        ],
    },
    "manifests": {"kustomize": {"paths": [str], "buildArgs": [str]}, "rawYaml": [str]},
    "deploy": {
        "kubeContext": str,
        "statusCheck": bool,
        "statusCheckDeadlineSeconds": int,
        "kubectl": {"flags": FLAGS, "defaultNamespace": str},
    },
    "portForward": [
        {"resourceType": str, "resourceName": str, "namespace": str, "port": int, "address": str, "localPort": int}
    ],
}


def unknown(value: Any, schema: Any, path: str = "") -> list[str]:
    """Return what of `value` the schema does not know."""
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            return [f"{path} is no object"]
        return [
            problem
            for key, inner in value.items()
            for problem in (unknown(inner, schema[key], f"{path}.{key}") if key in schema else [f"{path}.{key}"])
        ]
    if isinstance(schema, list):
        if not isinstance(value, list):
            return [f"{path} is no list"]
        return [problem for item in value for problem in unknown(item, schema[0], f"{path}[]")]
    return [] if type(value) is schema else [f"{path} is no {schema.__name__}"]


def artifacts() -> dict[str, dict[str, Any]]:
    return {artifact["image"]: artifact for artifact in CONFIG["build"]["artifacts"]}


def rendered() -> dict[tuple[str, str], Manifest]:
    return {(m["kind"], m["metadata"]["name"]): m for m in render(OVERLAY)}


def test_every_field_is_known() -> None:
    assert CONFIG["apiVersion"] == "skaffold/v4beta13"
    assert CONFIG["kind"] == "Config"
    assert not unknown(CONFIG, SCHEMA)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"biuld": {}}, ".biuld"),
        ({"build": {"artifacts": [{"image": "x", "dockerfile": "y"}]}}, ".build.artifacts[].dockerfile"),
        ({"portForward": [{"port": "80"}]}, ".portForward[].port is no int"),
        ({"manifests": {"kustomize": {"paths": "x"}}}, ".manifests.kustomize.paths is no list"),
    ],
)
def test_a_wrong_field_would_be_seen(wrong: dict[str, Any], said: str) -> None:
    assert unknown(wrong, SCHEMA) == [said]


def test_it_deploys_the_overlay_that_is_there() -> None:
    assert CONFIG["manifests"]["kustomize"]["paths"] == [OVERLAY]


def test_it_builds_exactly_what_the_overlay_runs() -> None:
    images = {
        container["image"]
        for manifest in rendered().values()
        for container in manifest.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    }
    assert images == set(artifacts())


@pytest.mark.parametrize("image", sorted(artifacts()))
def test_its_dockerfile_and_sources_are_there(image: str) -> None:
    artifact = artifacts()[image]
    context = ROOT / artifact["context"]
    assert (context / artifact["docker"].get("dockerfile", "Dockerfile")).is_file()
    service = artifact["docker"]["buildArgs"]["SERVICE"]
    assert service == image.replace("-", "_")
    assert (context / service / "__main__.py").is_file()


def test_it_forwards_ports_that_services_have() -> None:
    for forward in CONFIG["portForward"]:
        service = rendered()[("Service", forward["resourceName"])]
        assert forward["port"] in [port["port"] for port in service["spec"]["ports"]]
        assert forward["namespace"] == service["metadata"]["namespace"]


def test_it_differs_from_minikubes_overlay_in_the_namespace_alone() -> None:
    """Ending `skaffold dev` deletes what it deployed; the namespace would take the data with it."""
    whole = {(m["kind"], m["metadata"]["name"]): m for m in render("gitops/overlays/minikube")}
    assert whole.pop(("Namespace", "titanium-prod"))
    assert rendered() == whole


def test_it_knows_one_cluster_only() -> None:
    profile = yaml.safe_load((ROOT / "inventories/minikube/group_vars/all/cluster.yml").read_text())["minikube_profile"]
    assert CONFIG["deploy"]["kubeContext"] == profile
