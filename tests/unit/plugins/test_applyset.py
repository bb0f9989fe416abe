"""The ApplySet convention and the order of removal."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from plugins.module_utils.apply.applyset import GroupKind, applyset_id
from plugins.module_utils.apply.client import Discovery, Resource
from plugins.module_utils.apply.engine import _removal_phase

VERBS = ["create", "delete", "get", "list", "patch", "watch"]


def test_the_id_is_the_one_of_the_convention() -> None:
    digest = hashlib.sha256(b"applyset-web.prod.Secret.").digest()
    assert applyset_id("applyset-web", "prod") == f"applyset-{base64.urlsafe_b64encode(digest).decode().rstrip('=')}-v1"
    assert len(applyset_id("applyset-web", "prod")) <= 63


def test_group_kinds_are_written_as_the_convention_says() -> None:
    assert str(GroupKind("apps", "Deployment")) == "Deployment.apps"
    assert str(GroupKind("", "Secret")) == "Secret"
    assert GroupKind.parse("Application.argoproj.io") == GroupKind("argoproj.io", "Application")


def test_discovery_prefers_the_servers_order() -> None:
    def version(name: str) -> dict[str, Any]:
        kind = {"group": "g.io", "version": name, "kind": "Thing"}
        return {
            "version": name,
            "resources": [{"resource": "things", "responseKind": kind, "scope": "Namespaced", "verbs": VERBS}],
        }

    document = {
        "kind": "APIGroupDiscoveryList",
        "items": [{"metadata": {"name": "g.io"}, "versions": [version("v2"), version("v1")]}],
    }
    discovery = Discovery([document])
    preferred = discovery.preferred("g.io", "Thing")
    assert preferred is not None
    assert preferred.version == "v2"
    assert preferred.path("n", "a:b") == "/apis/g.io/v2/namespaces/n/things/a:b"
    assert discovery.find("g.io/v1", "Thing") is not None
    assert discovery.find("g.io/v3", "Thing") is None
    assert discovery.versions("g.io", "Thing") == ["v2", "v1"]


def test_custom_resources_go_first_and_namespaces_last() -> None:
    def resource(group: str, kind: str, builtin: bool = True) -> Resource:
        return Resource(group, "v1", kind, kind.lower(), True, frozenset(VERBS), builtin)

    def body(wave: str = "0") -> dict[str, Any]:
        return {"metadata": {"name": "x", "annotations": {"argocd.argoproj.io/sync-wave": wave}}}

    order = [
        (resource("example.com", "Thing", builtin=False), body()),
        (resource("apps", "Deployment"), body("2")),
        (resource("apps", "Deployment"), body()),
        (resource("", "ConfigMap"), body()),
        (resource("", "ConfigMap"), body("-1")),
        (resource("apiextensions.k8s.io", "CustomResourceDefinition"), body("-5")),
        (resource("", "Namespace"), body()),
    ]
    phases = [_removal_phase(*entry) for entry in order]
    assert phases == sorted(phases)
    assert len(set(phases)) == len(phases)
