"""The apply module against a real API server, run as a user runs it."""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import run_module
from .control_plane import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Run
    from .control_plane import ControlPlane

PASSWORD = "Tr0ub4dor-and-3"


def config_map(name: str = "settings", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name: str = "password", value: str = PASSWORD) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"password": value, "same": "always-the-same"},
    }


def pod_template(image: str = "web:1") -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}}


def deployment(image: str = "web:1", replicas: int = 1) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": pod_template(image)},
    }


def job(image: str = "migrate:1", **annotations: str) -> dict[str, Any]:
    spec = {"restartPolicy": "Never", "containers": [{"name": "migrate", "image": image}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "migrate", "annotations": annotations},
        "spec": {"backoffLimit": 0, "template": {"spec": spec}},
    }


def crd(kind: str, group: str) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema["properties"] = {**schema["properties"], "status": status}  # type: ignore[dict-item]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def custom(kind: str, group: str, name: str = "one", size: Any = 1) -> dict[str, Any]:
    return {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": name}, "spec": {"size": size}}


@pytest.fixture
def apply(playbook: Callable[..., Run], cluster: ControlPlane, namespace: str) -> Callable[..., Run]:
    """Run the module for the component ``web`` in a namespace of its own.

    The function takes the objects, flags for ansible-playbook, and more parameters. Without a flag the module runs by itself.
    """

    def run(definition: Any = None, *flags: str, **parameters: Any) -> Run:
        given = {"name": "web", "namespace": namespace, "wait": False, "wait_timeout": 60, **parameters}
        if definition is not None:
            given["definition"] = definition
        if not flags:
            return run_module(cluster.kubeconfig, **given)
        return playbook(cluster.kubeconfig, *flags, **given)

    return run


def test_creates_once_and_then_changes_nothing(
    apply: Callable[..., Run], cluster: ControlPlane, namespace: str
) -> None:
    first = apply([config_map(a="1"), secret()])
    assert first.ok, first.output
    assert first.actions == {
        f"Namespace/{namespace}": "created",
        "ConfigMap/settings": "created",
        "Secret/password": "created",
    }
    again = apply([config_map(a="1"), secret()])
    assert again.ok
    assert not again.changed
    assert again.result["counts"]["unchanged"] == 2
    parent = cluster.get(f"/api/v1/namespaces/{namespace}/secrets/applyset-web")
    assert parent["metadata"]["annotations"]["applyset.kubernetes.io/contains-group-kinds"] == "ConfigMap,Secret"
    assert parent["metadata"]["annotations"]["applyset.kubernetes.io/tooling"].startswith("titanium/v")
    label = cluster.get(f"/api/v1/namespaces/{namespace}/configmaps/settings")["metadata"]["labels"][
        "applyset.kubernetes.io/part-of"
    ]
    assert label == parent["metadata"]["labels"]["applyset.kubernetes.io/id"]


def test_check_on_a_cluster_that_lacks_everything(
    apply: Callable[..., Run], cluster: ControlPlane, namespace: str
) -> None:
    group = f"{namespace}.example.com"
    definition = [config_map(a="1"), deployment(), crd("Thing", group), custom("Thing", group)]
    run = apply(definition, "--check", "--diff")
    assert run.ok, run.output
    assert set(run.actions.values()) == {"created"}
    for line in (
        f"+++ after: ConfigMap {namespace}/settings",
        f"+++ after: Thing {namespace}/one",
        "+    image: web:1",
        "+  size: 1",
    ):
        assert line in run.output.replace("+        image", "+    image").replace(
            "+      - name: web\n+        image", "+    image"
        ), run.output
    assert not cluster.exists(f"/api/v1/namespaces/{namespace}")
    assert not cluster.exists(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{group}")


def test_check_still_finds_mistakes_where_the_namespace_is_missing(apply: Callable[..., Run]) -> None:
    wrong = deployment()
    wrong["spec"]["replicaz"] = 2
    run = apply([wrong], "--check")
    assert not run.ok
    assert "definition[0]" in run.result["msg"]
    assert ".spec.replicaz: field not declared in schema" in run.result["msg"]


def test_check_where_the_crd_is_missing_warns(apply: Callable[..., Run], namespace: str) -> None:
    run = apply([custom("Unheard", f"{namespace}.example.com")], "--check", "--diff")
    assert run.ok
    assert run.actions["Unheard/one"] == "created"
    assert "no matches for kind Unheard" in " ".join(run.output.split())


def test_an_unknown_kind_fails_before_anything_is_changed(
    apply: Callable[..., Run], cluster: ControlPlane, namespace: str
) -> None:
    run = apply([config_map(a="1"), custom("Unheard", "example.com"), {**deployment(), "apiVersion": "apps/v2"}])
    assert not run.ok
    assert "no matches for kind Unheard in example.com/v1 (Unheard one): is its CRD installed?" in run.result["msg"]
    assert (
        "no matches for kind Deployment in apps/v2 (Deployment web): the server knows it in apps/v1"
        in run.result["msg"]
    )
    assert not cluster.exists(f"/api/v1/namespaces/{namespace}")


@pytest.mark.parametrize("missing", ["server", "kubeconfig"])
def test_check_without_a_cluster_warns_and_shows_everything(
    playbook: Callable[..., Run], cluster: ControlPlane, tmp_path: Path, missing: str
) -> None:
    kubeconfig = tmp_path / "elsewhere"
    if missing == "server":
        kubeconfig.write_text(cluster.kubeconfig.read_text().replace(str(cluster.port), str(free_port())))
    parameters = {"name": "web", "namespace": "n", "definition": [config_map(a="1"), secret()]}
    run = playbook(kubeconfig, "--check", "--diff", **parameters)
    assert run.ok, run.output
    assert set(run.actions.values()) == {"created"}
    assert "checked as if the cluster were empty" in " ".join(run.output.split())
    assert PASSWORD not in run.output
    run = playbook(kubeconfig, **parameters)
    assert not run.ok
    expected = "cannot reach the API server" if missing == "server" else "does not exist"
    assert expected in run.result["msg"].splitlines()[0]


def test_drift_is_shown_exactly_and_mended(apply: Callable[..., Run], cluster: ControlPlane, namespace: str) -> None:
    definition = [config_map(a="1", b="line one\nline two\n"), deployment()]
    assert apply(definition).ok
    cluster.patch(f"/api/v1/namespaces/{namespace}/configmaps/settings", {"data": {"b": "line one\nline 2\n"}})
    cluster.patch(
        f"/apis/apps/v1/namespaces/{namespace}/deployments/web/scale", {"spec": {"replicas": 3}}, manager="kubectl"
    )
    run = apply(definition, "--check", "--diff")
    assert run.ok, run.output
    shown = [line for line in run.output.splitlines() if line.startswith(("+", "-"))]
    assert shown == [
        f"--- before: ConfigMap {namespace}/settings (live)",
        f"+++ after: ConfigMap {namespace}/settings",
        "-    line 2",
        "+    line two",
        f"--- before: Deployment {namespace}/web (live)",
        f"+++ after: Deployment {namespace}/web",
        "-  replicas: 3",
        "+  replicas: 1",
    ]
    assert cluster.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web")["spec"]["replicas"] == 3
    run = apply(definition)
    assert run.ok
    assert run.actions == {"ConfigMap/settings": "configured", "Deployment/web": "configured"}
    assert not apply(definition, "--check").changed


def test_a_conflict_names_the_manager_the_field_and_the_mend(
    apply: Callable[..., Run], cluster: ControlPlane, namespace: str
) -> None:
    assert apply([deployment()]).ok
    scale = f"/apis/apps/v1/namespaces/{namespace}/deployments/web/scale"
    cluster.patch(scale, {"spec": {"replicas": 5}}, manager="autoscaler")
    run = apply([deployment()])
    assert not run.ok
    assert run.result["conflicts"] == [
        {
            "kind": "Deployment",
            "namespace": namespace,
            "name": "web",
            "manager": "autoscaler",
            "fields": [".spec.replicas"],
        }
    ]
    assert "the field manager autoscaler keeps another value in .spec.replicas" in run.result["msg"]
    assert "force_conflicts: true" in run.result["msg"]
    assert cluster.get(scale)["spec"]["replicas"] == 5
    assert apply([deployment()], force_conflicts=True).ok
    assert cluster.get(scale)["spec"]["replicas"] == 1


def test_who_applies_keeps_the_field_even_under_the_name_of_a_tool_for_people(
    apply: Callable[..., Run], cluster: ControlPlane, namespace: str
) -> None:
    assert apply([config_map(a="1")]).ok
    path = f"/api/v1/namespaces/{namespace}/configmaps/settings"
    answer = cluster.request(
        "PATCH", f"{path}?force=true", config_map(a="2"), content_type="application/apply-patch+yaml", manager="kubectl"
    )
    assert answer.status == 200
    run = apply([config_map(a="1")])
    assert not run.ok
    assert run.result["conflicts"][0]["manager"] == "kubectl"


def test_secrets_are_seen_nowhere(apply: Callable[..., Run], cluster: ControlPlane, namespace: str) -> None:
    encoded = base64.b64encode(PASSWORD.encode()).decode()
    assert apply([secret(value="another-password")]).ok
    run = apply([secret()], "--check", "--diff", "-vvv")
    assert run.ok, run.output
    assert "-  password: <secret, before>" in run.output
    assert "+  password: <secret, changed>" in run.output
    assert "same:" not in run.output, "a key that does not change is no part of the diff"
    broken = {**secret(), "data": {"other": PASSWORD}}
    wrong_type = {**secret("typed"), "stringData": {"password": {"nested": PASSWORD}}}
    unknown_parameter = {"definitionn": "x"}
    runs = [run, apply([secret()], "--diff", "-vvv"), apply([broken], "-vvv"), apply([wrong_type], "-vvv")]
    runs.append(apply([secret()], "-vvv", **unknown_parameter))
    assert [each.ok for each in runs] == [True, True, False, False, False]
    for each in runs:
        for text in (PASSWORD, encoded, "another-password"):
            assert text not in each.output
            assert text not in json.dumps(each.result)
    live = cluster.get(f"/api/v1/namespaces/{namespace}/secrets/password")
    assert live["data"]["password"] == encoded


def test_what_is_dropped_is_pruned_also_after_an_interrupted_run(
    apply: Callable[..., Run], cluster: ControlPlane, namespace: str
) -> None:
    assert apply([config_map("keep", a="1"), config_map("drop", a="1"), secret()]).ok
    shown = apply([config_map("keep", a="1")], "--check", "--diff")
    assert shown.actions == {"ConfigMap/keep": "unchanged", "ConfigMap/drop": "pruned", "Secret/password": "pruned"}
    assert "(absent)" in shown.output
    kept = apply([config_map("keep", a="1")], prune=False)
    assert not kept.changed
    # A run that fails halfway must not lose sight of what it made.
    bad = deployment()
    bad["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    failed = apply(
        [config_map("keep", a="1"), {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "new"}}, bad]
    )
    assert not failed.ok
    assert cluster.exists(f"/api/v1/namespaces/{namespace}/serviceaccounts/new")
    run = apply([config_map("keep", a="1")])
    assert run.ok, run.output
    assert run.actions == {
        "ConfigMap/keep": "unchanged",
        "ConfigMap/drop": "pruned",
        "Secret/password": "pruned",
        "ServiceAccount/new": "pruned",
    }
    assert not cluster.exists(f"/api/v1/namespaces/{namespace}/configmaps/drop")


def test_absent_leaves_nothing(apply: Callable[..., Run], cluster: ControlPlane, namespace: str) -> None:
    group = f"{namespace}.example.com"
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": namespace},
        "rules": [],
    }
    assert apply([config_map(a="1"), deployment(), job(), role, crd("Thing", group), custom("Thing", group)]).ok
    # A custom resource whose controller must run to let it go.
    thing = f"/apis/{group}/v1/namespaces/{namespace}/things/one"
    cluster.patch(thing, {"metadata": {"finalizers": ["example.com/cleanup"]}})

    def controller() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and "deletionTimestamp" not in cluster.get(thing)["metadata"]:
            time.sleep(0.1)
        assert cluster.exists(f"/apis/apps/v1/namespaces/{namespace}/deployments/web")
        seen.append(cluster.get(thing)["metadata"]["deletionTimestamp"])
        cluster.patch(thing, {"metadata": {"finalizers": None}})

    seen: list[str] = []
    shown = apply(None, "--check", state="absent")
    assert set(shown.actions.values()) == {"deleted"}
    worker = threading.Thread(target=controller)
    worker.start()
    run = apply(None, state="absent", wait=True)
    worker.join()
    assert run.ok, run.output
    assert seen, "the custom resource was deleted while its controller was still there"
    assert run.actions == {
        "Thing/one": "deleted",
        "Deployment/web": "deleted",
        "Job/migrate": "deleted",
        "ConfigMap/settings": "deleted",
        f"ClusterRole/{namespace}": "deleted",
        f"CustomResourceDefinition/things.{group}": "deleted",
        f"Namespace/{namespace}": "deleted",
    }
    for path in (
        f"/api/v1/namespaces/{namespace}",
        f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{namespace}",
        f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{group}",
    ):
        assert not cluster.exists(path)
    again = apply(None, state="absent")
    assert again.ok
    assert not again.changed


def test_absent_finds_everything_even_when_the_record_is_lost(
    apply: Callable[..., Run], cluster: ControlPlane, namespace: str
) -> None:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": namespace},
        "rules": [],
    }
    assert apply([config_map(a="1"), role]).ok
    assert cluster.request("DELETE", f"/api/v1/namespaces/{namespace}/secrets/applyset-web").status == 200
    run = apply(None, state="absent", wait=True)
    assert run.ok
    assert not cluster.exists(f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{namespace}")
    assert not cluster.exists(f"/api/v1/namespaces/{namespace}")


def test_a_shared_namespace_goes_with_the_last_component(
    apply: Callable[..., Run], cluster: ControlPlane, namespace: str
) -> None:
    assert apply([config_map("one", a="1")], name="first").ok
    assert apply([config_map("two", a="1")], name="second").ok
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data-db-0"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    cluster.create(claims, claim)
    run = apply(None, state="absent", name="first")
    assert run.actions == {"ConfigMap/one": "deleted"}
    assert f"the namespace {namespace} is kept" in " ".join(run.output.split())
    assert cluster.exists(f"/api/v1/namespaces/{namespace}/configmaps/two")
    assert apply(None, state="absent", name="second", wait=True).ok
    assert cluster.exists(f"{claims}/data-db-0"), "data that no component owns stays"
    cluster.request("DELETE", f"{claims}/data-db-0")
    assert apply(None, state="absent", name="second", wait=True).actions == {f"Namespace/{namespace}": "deleted"}


def test_an_object_belongs_to_one_component(apply: Callable[..., Run], namespace: str) -> None:
    assert apply([config_map(a="1")], name="first").ok
    run = apply([config_map(a="1")], name="second")
    assert not run.ok
    assert f"belongs to the component first (ApplySet {namespace}/applyset-first)" in run.result["msg"]


def test_a_strange_parent_is_left_alone(apply: Callable[..., Run], cluster: ControlPlane, namespace: str) -> None:
    cluster.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    cluster.create(
        f"/api/v1/namespaces/{namespace}/secrets",
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "applyset-web"}},
    )
    run = apply([config_map(a="1")])
    assert not run.ok
    assert "is not the record of the component web" in run.result["msg"]
    assert not cluster.exists(f"/api/v1/namespaces/{namespace}/configmaps/settings")


def test_a_job_that_changes_is_made_anew(apply: Callable[..., Run], cluster: ControlPlane, namespace: str) -> None:
    assert apply([job()]).ok
    before = cluster.get(f"/apis/batch/v1/namespaces/{namespace}/jobs/migrate")
    shown = apply([job("migrate:2")], "--check", "--diff")
    assert shown.actions == {"Job/migrate": "recreated"}
    assert [line for line in shown.output.splitlines() if line.startswith(("-  ", "+  "))] == [
        "-        image: migrate:1",
        "+        image: migrate:2",
    ]
    assert (
        cluster.get(f"/apis/batch/v1/namespaces/{namespace}/jobs/migrate")["metadata"]["uid"]
        == before["metadata"]["uid"]
    )
    run = apply([job("migrate:2")])
    assert run.ok, run.output
    assert run.actions == {"Job/migrate": "recreated"}
    after = cluster.get(f"/apis/batch/v1/namespaces/{namespace}/jobs/migrate")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert not apply([job("migrate:2")]).changed


def test_what_cannot_be_changed_is_told_with_the_mend(apply: Callable[..., Run]) -> None:
    other = deployment()
    other["spec"]["selector"] = {"matchLabels": {"app": "web", "x": "y"}}
    other["spec"]["template"]["metadata"]["labels"]["x"] = "y"
    assert apply([deployment()]).ok
    run = apply([other])
    assert not run.ok
    assert "field is immutable" in run.result["msg"]
    assert "Force=true" in run.result["msg"]
    other["metadata"]["annotations"] = {"argocd.argoproj.io/sync-options": "Force=true"}
    assert apply([other]).actions == {"Deployment/web": "recreated"}


def test_crds_and_their_objects_in_one_call(apply: Callable[..., Run], cluster: ControlPlane, namespace: str) -> None:
    group = f"{namespace}.example.com"
    kinds = ["Alpha", "Beta", "Gamma"]
    definition = [custom(kind, group, name) for kind in kinds for name in ("one", "two")] + [
        crd(kind, group) for kind in kinds
    ]
    run = apply(definition, wait=True)
    assert run.ok, run.output
    assert run.result["counts"]["created"] == 10
    assert not apply(definition, wait=True).changed
    cluster.patch(f"/apis/{group}/v1/namespaces/{namespace}/alphas/one", {"spec": {"size": 9}})
    assert apply(definition, wait=True).actions["Alpha/one"] == "configured"


def test_waits_for_the_condition_that_a_custom_resource_reports(
    apply: Callable[..., Run], cluster: ControlPlane, namespace: str
) -> None:
    group = f"{namespace}.example.com"
    definition = [crd("Thing", group), custom("Thing", group)]
    assert apply(definition).ok
    status = f"/apis/{group}/v1/namespaces/{namespace}/things/one/status"

    def report(value: str) -> None:
        conditions = [{"type": "Ready", "status": value, "reason": "Syncing", "message": "two of three"}]
        cluster.patch(status, {"status": {"conditions": conditions}})

    report("False")
    timer = threading.Timer(15, report, ["True"])
    timer.start()
    started = time.monotonic()
    run = apply(definition, "-v", wait=True)
    timer.join()
    assert run.ok, run.output
    assert time.monotonic() - started > 14
    assert f"waiting for Thing {namespace}/one: Syncing: two of three" in run.output, "long work shows progress"
    report("False")
    run = apply(definition, wait=True, wait_timeout=1)
    assert not run.ok
    assert run.result["not_ready"] == [
        {"kind": "Thing", "namespace": namespace, "name": "one", "reason": "Syncing: two of three"}
    ]


def test_a_failed_wait_tells_what_the_pod_hangs_on(
    apply: Callable[..., Run], cluster: ControlPlane, namespace: str
) -> None:
    assert apply([deployment()]).ok
    pods = f"/api/v1/namespaces/{namespace}/pods"
    deadline = time.monotonic() + 30
    while not (found := cluster.get(pods)["items"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    pod = found[0]
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "web:1"'}
    container = {
        "name": "web",
        "image": "web:1",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"waiting": waiting},
    }
    cluster.patch(
        f"{pods}/{pod['metadata']['name']}/status", {"status": {"phase": "Pending", "containerStatuses": [container]}}
    )
    involved = {"kind": "Pod", "name": pod["metadata"]["name"], "namespace": namespace, "uid": pod["metadata"]["uid"]}
    cluster.create(
        f"/api/v1/namespaces/{namespace}/events",
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "pull"},
            "involvedObject": involved,
            "type": "Warning",
            "reason": "Failed",
            "message": "no such image: web:1",
            "lastTimestamp": "2026-01-01T00:00:00Z",
        },
    )
    run = apply([deployment()], wait=True, wait_timeout=2)
    assert not run.ok
    message = run.result["msg"]
    assert f"Deployment {namespace}/web: 0 of 1 available" in message
    assert f"Pod {pod['metadata']['name']}: container web: ImagePullBackOff: Back-off pulling image" in message
    assert "event: Failed: no such image: web:1" in message
    assert run.result["objects"], "what was done is told as well"


def test_a_failed_job_ends_the_wait_at_once(apply: Callable[..., Run], cluster: ControlPlane, namespace: str) -> None:
    hook = job(**{"argocd.argoproj.io/hook": "PreSync"})
    assert apply([hook]).ok
    conditions = [
        {"type": kind, "status": "True", "reason": "BackoffLimitExceeded", "message": "it failed too often"}
        for kind in ("FailureTarget", "Failed")
    ]
    # The controller turns the first into the second once the pod has ended.
    pods = cluster.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    for pod in pods:
        cluster.patch(
            f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/status", {"status": {"phase": "Failed"}}
        )
    status = {"status": {"conditions": conditions[:1]}}
    cluster.patch(f"/apis/batch/v1/namespaces/{namespace}/jobs/migrate/status", status)
    started = time.monotonic()
    run = apply([hook, deployment()], wait=True)
    assert time.monotonic() - started < 30
    assert not run.ok
    assert "BackoffLimitExceeded" in run.result["msg"]
    assert not cluster.exists(f"/apis/apps/v1/namespaces/{namespace}/deployments/web"), (
        "nothing is rolled out after a failed hook"
    )


def test_a_namespace_in_the_definition_is_the_components_own(
    apply: Callable[..., Run], cluster: ControlPlane, namespace: str
) -> None:
    home = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "labels": {"istio-injection": "enabled"}},
    }
    run = apply([config_map(a="1"), home])
    assert run.ok, run.output
    assert run.actions == {f"Namespace/{namespace}": "created", "ConfigMap/settings": "created"}
    assert cluster.get(f"/api/v1/namespaces/{namespace}")["metadata"]["labels"]["istio-injection"] == "enabled"
    assert not apply([config_map(a="1"), home]).changed
    assert apply(None, state="absent", wait=True).ok
    assert not cluster.exists(f"/api/v1/namespaces/{namespace}")


def test_a_foreign_namespace_must_exist(apply: Callable[..., Run], cluster: ControlPlane, namespace: str) -> None:
    elsewhere = config_map(a="1")
    elsewhere["metadata"]["namespace"] = f"{namespace}-other"
    run = apply([elsewhere])
    assert not run.ok
    assert f"the namespace {namespace}-other does not exist" in run.result["msg"]
    assert not cluster.exists(f"/api/v1/namespaces/{namespace}")


def test_reads_files_and_tells_their_line(apply: Callable[..., Run], tmp_path: Path) -> None:
    file = tmp_path / "objects.yml"
    file.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n   wrong: 1\n")
    run = apply(None, src=[str(file)])
    assert not run.ok
    assert f"wrong YAML in {file}, line 5" in run.result["msg"]
    file.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n")
    assert apply(None, src=str(file)).actions["ConfigMap/a"] == "created"


def test_120_unchanged_objects(apply: Callable[..., Run], capsys: pytest.CaptureFixture[str]) -> None:
    definition = [config_map(f"settings-{number}", value=str(number)) for number in range(100)]
    definition += [secret(f"secret-{number}") for number in range(20)]
    first = apply(definition, wait=True)
    assert first.ok
    again = apply(definition, wait=True)
    assert not again.changed
    assert again.result["counts"]["unchanged"] == 120
    with capsys.disabled():
        print(f"\n120 objects: created in {first.result['duration']} s, unchanged in {again.result['duration']} s")
    assert again.result["duration"] < 30
