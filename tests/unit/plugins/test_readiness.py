"""When an object counts as ready, and what a pod hangs on."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.apply.readiness import judge
from plugins.module_utils.apply.reasons import pod_state


def body(
    kind: str, status: dict[str, Any], api: str = "apps/v1", spec: dict[str, Any] | None = None, generation: int = 2
) -> dict[str, Any]:
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": "x", "generation": generation},
        "spec": spec or {},
        "status": status,
    }


def condition(kind: str, status: str = "True", **more: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, **more}]}


ROLLED = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2}


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (body("Deployment", ROLLED, spec={"replicas": 2}), ""),
        (body("Deployment", {}, spec={"replicas": 2}), "0 of 2 ready"),
        (
            body("Deployment", {**ROLLED, "observedGeneration": 1}, spec={"replicas": 2}),
            "has not seen the latest change",
        ),
        (body("Deployment", {**ROLLED, "updatedReplicas": 1}, spec={"replicas": 2}), "1 of 2 updated"),
        (body("Deployment", {**ROLLED, "replicas": 3}, spec={"replicas": 2}), "1 old to be terminated"),
        (body("Deployment", {**ROLLED, "availableReplicas": 1}, spec={"replicas": 2}), "1 of 2 available"),
        (body("StatefulSet", {**ROLLED, "currentRevision": "a", "updateRevision": "a"}, spec={"replicas": 2}), ""),
        (
            body("StatefulSet", {**ROLLED, "currentRevision": "a", "updateRevision": "b"}, spec={"replicas": 2}),
            "updated",
        ),
        (body("StatefulSet", {**ROLLED, "readyReplicas": 1}, spec={"replicas": 2}), "1 of 2 ready"),
        (
            body(
                "DaemonSet",
                {
                    "observedGeneration": 2,
                    "desiredNumberScheduled": 1,
                    "updatedNumberScheduled": 1,
                    "numberAvailable": 1,
                },
            ),
            "",
        ),
        (
            body("DaemonSet", {"observedGeneration": 2, "desiredNumberScheduled": 1, "updatedNumberScheduled": 1}),
            "0 of 1 available",
        ),
        (body("Job", condition("Complete"), "batch/v1"), ""),
        (body("Job", {"active": 1}, "batch/v1"), "0 of 1 completed"),
        (body("CustomResourceDefinition", condition("Established"), "apiextensions.k8s.io/v1"), ""),
        (body("CustomResourceDefinition", {}, "apiextensions.k8s.io/v1"), "not established yet"),
        (
            body("APIService", condition("Available", "False", reason="MissingEndpoints"), "apiregistration.k8s.io/v1"),
            "MissingEndpoints",
        ),
        (body("PersistentVolumeClaim", {"phase": "Pending"}, "v1"), "not bound"),
        (body("Namespace", {"phase": "Terminating"}, "v1"), "Terminating"),
        (body("Pod", {"phase": "Running", **condition("Ready")}, "v1"), ""),
        (body("ConfigMap", {}, "v1"), ""),
        (body("Prometheus", {}, "monitoring.coreos.com/v1"), ""),
        (body("Prometheus", condition("Available", "False", message="no pods"), "monitoring.coreos.com/v1"), "no pods"),
        (body("Prometheus", condition("Available"), "monitoring.coreos.com/v1"), ""),
        (body("Thing", condition("Ready", "Unknown"), "example.com/v1"), "not Ready"),
    ],
)
def test_judges(made: dict[str, Any], why: str) -> None:
    verdict = judge(made)
    assert verdict.ready == (not why)
    assert why in verdict.why
    assert not verdict.failed


@pytest.mark.parametrize(
    "made",
    [
        body("Job", condition("Failed", reason="BackoffLimitExceeded"), "batch/v1"),
        body(
            "Deployment",
            {"observedGeneration": 2, **condition("Progressing", "False", reason="ProgressDeadlineExceeded")},
        ),
        body("Pod", {"phase": "Failed", "message": "evicted"}, "v1"),
        body("PersistentVolumeClaim", {"phase": "Lost"}, "v1"),
        body("CustomResourceDefinition", condition("NamesAccepted", "False"), "apiextensions.k8s.io/v1"),
    ],
)
def test_knows_what_will_never_be_ready(made: dict[str, Any]) -> None:
    assert judge(made).failed


def test_what_is_being_deleted_is_not_ready() -> None:
    made = body("ConfigMap", {}, "v1")
    made["metadata"]["deletionTimestamp"] = "now"
    assert judge(made).why == "is being deleted"


@pytest.mark.parametrize(
    ("container", "text", "log"),
    [
        (
            {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling x"}}},
            "container c: ImagePullBackOff: Back-off pulling x",
            ("", False),
        ),
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
                "restartCount": 4,
            },
            "container c: CrashLoopBackOff: exit code 3 (Error), 4 restarts",
            ("c", True),
        ),
        (
            {"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
            "container c: exit code 137 (OOMKilled)",
            ("c", False),
        ),
        ({"state": {"running": {}}, "ready": False, "started": True}, "container c: running, not ready", ("c", False)),
        (
            {"state": {"running": {}}, "ready": False, "started": False},
            "container c: running, not started up",
            ("c", False),
        ),
        ({"state": {"waiting": {"reason": "ContainerCreating"}}}, "container c: ContainerCreating", ("", False)),
    ],
)
def test_says_what_a_pod_hangs_on(container: dict[str, Any], text: str, log: tuple[str, bool]) -> None:
    pod = body("Pod", {"phase": "Pending", "containerStatuses": [{"name": "c", **container}]}, "v1")
    assert pod_state(pod) == (text, *log)


def test_says_that_a_pod_cannot_be_scheduled() -> None:
    pod = body(
        "Pod",
        {"phase": "Pending", **condition("PodScheduled", "False", reason="Unschedulable", message="no nodes")},
        "v1",
    )
    assert pod_state(pod)[0] == "Unschedulable: no nodes"
