"""No image that a manifest uses is overlooked, wherever it is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from ansible.errors import AnsibleLookupError

from plugins.lookup.rendered_images import LookupModule, images_of
from tests.unit.gitops.test_manifests import OVERLAYS, render

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = f"sha256:{'0' * 64}"


def pod(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "a", **fields}]}}


@pytest.mark.parametrize(
    ("manifest", "images"),
    [
        (pod(image="redis"), {"redis"}),
        (pod(image=f"docker.io/library/redis:8@{DIGEST}"), {f"docker.io/library/redis:8@{DIGEST}"}),
        (
            {"kind": "Pod", "spec": {"initContainers": [{"image": "a:1"}], "ephemeralContainers": [{"image": "b:1"}]}},
            {"a:1", "b:1"},
        ),
        ({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": pod(image="c:1")}}}}, {"c:1"}),
        (
            {"kind": "Prometheus", "spec": {"image": "quay.io/prometheus/prometheus:v3"}},
            {"quay.io/prometheus/prometheus:v3"},
        ),
        (pod(args=["--config-reloader=quay.io/x/reloader:v0.1"]), {"quay.io/x/reloader:v0.1"}),
        (
            pod(env=[{"name": "HELPER", "value": f"registry.example:5000/x/helper@{DIGEST}"}]),
            {f"registry.example:5000/x/helper@{DIGEST}"},
        ),
        (
            {
                "kind": "ConfigMap",
                "data": {"helperPod.yaml": yaml.safe_dump(pod(image="localhost/titanium/base:0123"))},
            },
            {"localhost/titanium/base:0123"},
        ),
        (
            {"kind": "ConfigMap", "data": {"values": json.dumps({"proxy": {"image": "localhost/titanium/proxy:1"}})}},
            {"localhost/titanium/proxy:1"},
        ),
        ({"kind": "ConfigMap", "data": {"template": 'spec:\n  image: "busybox:1.37"\n'}}, {"busybox:1.37"}),
        # What is none.
        (pod(image="auto"), set()),
        ({"kind": "CustomResourceDefinition", "spec": {"description": "image: docker.io/library/redis:8"}}, set()),
        ({"kind": "ConfigMap", "data": {"c": "http://example.org/path:80 spiffe://cluster.local/ns/a:1"}}, set()),
        ({"kind": "ConfigMap", "data": {"c": "image: {{ .Values.image }}\nimagePullPolicy: IfNotPresent"}}, set()),
        ({"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"labels": {"x.io/y": "z"}}}, set()),
    ],
)
def test_images(manifest: dict[str, Any], images: set[str]) -> None:
    assert images_of(manifest) == images


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_container_of_the_overlays_is_seen(overlay: str) -> None:
    for manifest in render(f"gitops/overlays/{overlay}"):
        containers = manifest.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
        assert {container["image"] for container in containers} == images_of(manifest), manifest["metadata"]["name"]


def test_folder(tmp_path: Path) -> None:
    (tmp_path / "a_b.yaml").write_text(yaml.safe_dump_all([pod(image="b:1"), pod(image="a:1")]))
    (tmp_path / "a_c.yaml").write_text(yaml.safe_dump(pod(image="a:1")))
    assert LookupModule().run([str(tmp_path)]) == ["a:1", "b:1"]


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(AnsibleLookupError, match="no manifests"):
        LookupModule().run([str(tmp_path)])
