"""With the component `traces` the services send their traces, and their walls get one door for it: to the collectors, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from .test_manifests import OVERLAYS, PORTS, Manifest, render, render_with

COLLECTORS = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"app.kubernetes.io/name": "otel-collector"}},
}
DOOR = {"to": [COLLECTORS], "ports": [{"protocol": "TCP", "port": 4318}]}
HOST = "kube-system/otel-collector.kube-system.svc.cluster.local"


def by_name(manifests: tuple[Manifest, ...]) -> dict[tuple[str, str], Manifest]:
    """Return objects by kind and name."""
    return {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in manifests}


def without_traces(manifest: Manifest) -> Manifest:
    """Return an object without what the component adds, and check what that is."""
    spec: dict[str, Any] = manifest.get("spec", {})
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    if kind == "Deployment":
        [container] = spec["template"]["spec"]["containers"]
        added = {entry["name"]: entry["value"] for entry in container["env"] if entry["name"].startswith("OTEL_")}
        assert added.pop("OTEL_EXPORTER_OTLP_ENDPOINT") == "http://otel-collector.kube-system:4318", name
        assert added.keys() == {"OTEL_TRACES_SAMPLER", "OTEL_BSP_SCHEDULE_DELAY"}, name
        container["env"] = [entry for entry in container["env"] if not entry["name"].startswith("OTEL_")]
    elif kind == "NetworkPolicy" and name in PORTS:
        assert spec["egress"].pop() == DOOR, name
    elif kind == "Sidecar":
        assert spec["egress"][0]["hosts"].pop() == HOST
    return manifest


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_services_send_traces_and_nothing_else_changes(overlay: str) -> None:
    plain = by_name(render(f"gitops/overlays/{overlay}"))
    traced = by_name(render_with(overlay, "traces"))
    assert {key: without_traces(manifest) for key, manifest in traced.items()} == plain


@pytest.mark.parametrize("overlay", ["local", "solid-cloud"])
def test_walls_are_there_to_have_a_door(overlay: str) -> None:
    kinds = {manifest["kind"] for manifest in render(f"gitops/overlays/{overlay}")}
    assert {"NetworkPolicy", "Sidecar"} <= kinds
