"""Whether an object does what it is for, read from its status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Verdict:
    """``ready``; or not yet, with ``why``; or never, if ``failed``."""

    ready: bool
    why: str = ""
    failed: bool = False


READY = Verdict(ready=True)


def judge(body: dict[str, Any]) -> Verdict:
    """Return whether an object is ready.

    Known kinds are judged by their own rules. Any other object is ready unless it reports a condition ``Ready`` or
    ``Available`` that is not true, or has not yet seen its latest change.
    """
    group = body["apiVersion"].rpartition("/")[0]
    metadata = body["metadata"]
    if metadata.get("deletionTimestamp"):
        return _not_yet("is being deleted")
    status = body.get("status") or {}
    observed = status.get("observedGeneration")
    if observed is not None and observed < metadata.get("generation", 0):
        return _not_yet("its controller has not seen the latest change yet")
    return _RULES.get((group, body["kind"]), _by_condition)(body, status)


def condition(status: dict[str, Any], kind: str) -> dict[str, Any] | None:
    """Return the condition of a type, or None."""
    conditions = status.get("conditions")
    if not isinstance(conditions, list):
        return None
    return next((entry for entry in conditions if isinstance(entry, dict) and entry.get("type") == kind), None)


def _not_yet(why: str) -> Verdict:
    return Verdict(ready=False, why=why)


def _never(why: str) -> Verdict:
    return Verdict(ready=False, why=why, failed=True)


def _is(status: dict[str, Any], kind: str) -> bool:
    found = condition(status, kind)
    return found is not None and found.get("status") == "True"


def _say(found: dict[str, Any] | None, otherwise: str) -> str:
    if not found:
        return otherwise
    return ": ".join(part for part in (found.get("reason"), found.get("message")) if part) or otherwise


def _deployment(body: dict[str, Any], status: dict[str, Any]) -> Verdict:
    wanted = body["spec"].get("replicas", 1)
    if "observedGeneration" not in status:
        return _not_yet(f"0 of {wanted} ready")
    progressing = condition(status, "Progressing")
    if progressing and progressing.get("reason") == "ProgressDeadlineExceeded":
        return _never(_say(progressing, "no progress"))
    updated, total, available = (status.get(key, 0) for key in ("updatedReplicas", "replicas", "availableReplicas"))
    if updated < wanted:
        failure = condition(status, "ReplicaFailure")
        return _not_yet(_say(failure, f"{updated} of {wanted} updated"))
    if total > updated:
        return _not_yet(f"{total - updated} old to be terminated")
    if available < updated:
        return _not_yet(f"{available} of {wanted} available")
    return READY


def _stateful_set(body: dict[str, Any], status: dict[str, Any]) -> Verdict:
    spec = body["spec"]
    wanted = spec.get("replicas", 1)
    if "observedGeneration" not in status:
        return _not_yet(f"0 of {wanted} ready")
    ready = status.get("readyReplicas", 0)
    if ready < wanted:
        return _not_yet(f"{ready} of {wanted} ready")
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return READY
    partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    updated = status.get("updatedReplicas", 0)
    if partition:
        return READY if updated >= wanted - partition else _not_yet(f"{updated} of {wanted - partition} updated")
    if status.get("updateRevision") != status.get("currentRevision"):
        return _not_yet(f"{updated} of {wanted} updated")
    return READY


def _daemon_set(body: dict[str, Any], status: dict[str, Any]) -> Verdict:
    if "observedGeneration" not in status:
        return _not_yet("not scheduled yet")
    wanted = status.get("desiredNumberScheduled", 0)
    if (body["spec"].get("updateStrategy") or {}).get("type") != "OnDelete":
        updated = status.get("updatedNumberScheduled", 0)
        if updated < wanted:
            return _not_yet(f"{updated} of {wanted} updated")
    available = status.get("numberAvailable", 0)
    return READY if available >= wanted else _not_yet(f"{available} of {wanted} available")


def _replicas(body: dict[str, Any], status: dict[str, Any]) -> Verdict:
    wanted = body["spec"].get("replicas", 1)
    available = status.get("availableReplicas", 0)
    return READY if available >= wanted else _not_yet(f"{available} of {wanted} available")


def _job(body: dict[str, Any], status: dict[str, Any]) -> Verdict:
    for kind in ("Failed", "FailureTarget"):
        if _is(status, kind):
            return _never(_say(condition(status, kind), "failed"))
    if _is(status, "Complete") or body["spec"].get("suspend"):
        return READY
    done, failed = status.get("succeeded", 0), status.get("failed", 0)
    why = f"{done} of {body['spec'].get('completions') or 1} completed"
    return _not_yet(f"{why}, {failed} failed" if failed else why)


def _pod(_body: dict[str, Any], status: dict[str, Any]) -> Verdict:
    phase = status.get("phase", "Pending")
    if phase == "Succeeded" or _is(status, "Ready"):
        return READY
    if phase == "Failed":
        return _never(_say(status, "failed"))
    return _not_yet(_say(condition(status, "PodScheduled" if phase == "Pending" else "Ready"), phase))


def _crd(_body: dict[str, Any], status: dict[str, Any]) -> Verdict:
    accepted = condition(status, "NamesAccepted")
    if accepted and accepted.get("status") == "False":
        return _never(_say(accepted, "its names are taken"))
    return (
        READY if _is(status, "Established") else _not_yet(_say(condition(status, "Established"), "not established yet"))
    )


def _api_service(_body: dict[str, Any], status: dict[str, Any]) -> Verdict:
    found = condition(status, "Available")
    return READY if _is(status, "Available") else _not_yet(_say(found, "not available yet"))


def _claim(_body: dict[str, Any], status: dict[str, Any]) -> Verdict:
    phase = status.get("phase", "Pending")
    if phase == "Bound":
        return READY
    return _never("its volume is lost") if phase == "Lost" else _not_yet("not bound to a volume yet")


def _namespace(_body: dict[str, Any], status: dict[str, Any]) -> Verdict:
    phase = status.get("phase", "Active")
    return READY if phase == "Active" else _not_yet(f"is {phase}")


def _by_condition(body: dict[str, Any], status: dict[str, Any]) -> Verdict:
    for kind in ("Ready", "Available"):
        found = condition(status, kind)
        if found is None:
            continue
        if found.get("observedGeneration", body["metadata"].get("generation", 0)) < body["metadata"].get(
            "generation", 0
        ):
            return _not_yet("its controller has not seen the latest change yet")
        if found.get("status") != "True":
            return _not_yet(_say(found, f"not {kind}"))
        return READY
    return READY


def _always(_body: dict[str, Any], _status: dict[str, Any]) -> Verdict:
    return READY


_RULES: dict[tuple[str, str], Callable[[dict[str, Any], dict[str, Any]], Verdict]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "ReplicaSet"): _replicas,
    ("", "ReplicationController"): _replicas,
    ("batch", "Job"): _job,
    ("batch", "CronJob"): _always,
    ("", "Pod"): _pod,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Namespace"): _namespace,
    ("", "Node"): _always,
    ("", "Service"): _always,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _crd,
    ("apiregistration.k8s.io", "APIService"): _api_service,
}
