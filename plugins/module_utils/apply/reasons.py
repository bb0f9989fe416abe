"""Why an object is not ready: what its pods, events and logs say."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from .errors import ApplyError
from .readiness import judge

if TYPE_CHECKING:
    from .client import Client, Discovery

_LOG_LINES = 10
_EVENTS = 3
# What every container goes through; that it takes long is told by events.
_ORDINARY = frozenset({"ContainerCreating", "PodInitializing"})


class Reasons:
    """Looks for the reason.

    Parameters:
        client: the API server.
        discovery: the kinds it knows.
    """

    def __init__(self, client: Client, discovery: Discovery) -> None:
        self._client = client
        self._pods = discovery.find("v1", "Pod")
        self._events = discovery.find("v1", "Event")

    def brief(self, body: dict[str, Any]) -> str:
        """Return the state of the pod that holds an object up, in a few words, or nothing."""
        for pod in self._stuck_pods(body)[:1]:
            text, _, _ = pod_state(pod)
            return f"Pod {pod['metadata']['name']}: {text}"
        return ""

    def full(self, body: dict[str, Any], why: str) -> str:
        """Return the lines a person needs who has to mend an object that does not become ready.

        Parameters:
            body: the live object.
            why: what its own status says.
        """
        metadata = body["metadata"]
        name = f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else metadata["name"]
        lines = [f"{body['kind']} {name}: {why}"]
        pods = self._stuck_pods(body)
        if not pods:
            # Where there is a pod it tells more than that something waits for it.
            lines += [f"  {line}" for line in _bad_conditions(body) if line not in why]
            lines += [f"  event: {event}" for event in self._warnings(metadata)]
        for pod in pods[:1]:
            text, container, previous = pod_state(pod)
            lines.append(f"  Pod {pod['metadata']['name']}: {text}")
            lines += [f"    event: {event}" for event in self._warnings(pod["metadata"])]
            if container:
                lines += [f"    log: {line}" for line in self._log(pod["metadata"], container, previous)]
        if len(pods) > 1:
            lines.append(f"  and {len(pods) - 1} more of its pods")
        return "\n".join(lines)

    def _stuck_pods(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the pods of a workload that are not ready, newest first."""
        if body["kind"] == "Pod":
            return [body]
        selector = _selector((body.get("spec") or {}).get("selector"))
        if not selector or not self._pods:
            return []
        try:
            pods, _ = self._client.list(self._pods, namespace=body["metadata"].get("namespace", ""), selector=selector)
        except ApplyError:
            return []
        stuck = [pod for pod in pods if not judge(pod).ready and not pod["metadata"].get("deletionTimestamp")]
        return sorted(stuck, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True)

    def _warnings(self, metadata: dict[str, Any]) -> list[str]:
        if not self._events:
            return []
        fields = f"involvedObject.uid={metadata.get('uid', '')},type=Warning"
        try:
            events, _ = self._client.list(self._events, namespace=metadata.get("namespace", ""), fields=fields)
        except ApplyError:
            return []
        events.sort(key=_event_time)
        return [
            f"{event.get('reason')}: {' '.join((event.get('message') or '').split())}" for event in events[-_EVENTS:]
        ]

    def _log(self, metadata: dict[str, Any], container: str, previous: bool) -> list[str]:
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/log"
        query = {"container": container, "tailLines": _LOG_LINES}
        for options in ({"previous": "true"}, {}) if previous else ({},):
            with contextlib.suppress(ApplyError):
                return self._client.text(path, {**query, **options}).splitlines()
        return []


def pod_state(pod: dict[str, Any]) -> tuple[str, str, bool]:
    """Return what a pod hangs on, the container whose log may tell more (or ''), and whether its last run's log is meant."""
    status = pod.get("status") or {}
    waiting = ""
    for entry in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or []):
        state, name = entry.get("state") or {}, entry["name"]
        ended = state.get("terminated") or (entry.get("lastState") or {}).get("terminated") or {}
        restarts = f", {entry['restartCount']} restarts" if entry.get("restartCount") else ""
        exit_text = f"exit code {ended.get('exitCode')} ({ended.get('reason') or 'Error'})" if ended else ""
        if "waiting" in state:
            reason = state["waiting"].get("reason") or "waiting"
            if reason in _ORDINARY:
                waiting = waiting or f"container {name}: {reason}"
                continue
            text = exit_text or " ".join((state["waiting"].get("message") or "").split())
            return (
                f"container {name}: {reason}" + (f": {text}" if text else "") + restarts,
                name if ended else "",
                bool(ended),
            )
        if state.get("terminated") and state["terminated"].get("exitCode") != 0:
            return f"container {name}: {exit_text}{restarts}", name, False
        if "running" in state and not entry.get("ready") and entry.get("started") is not False:
            last = f"; its last run ended with {exit_text}" if exit_text else ""
            return f"container {name}: running, not ready{last}{restarts}", name, False
        if "running" in state and not entry.get("ready"):
            last = f"; its last run ended with {exit_text}" if exit_text else ""
            return f"container {name}: running, not started up{last}{restarts}", name, False
    if waiting:
        return waiting, "", False
    return judge(pod).why or str(status.get("phase", "Pending")), "", False


def _bad_conditions(body: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for found in (body.get("status") or {}).get("conditions") or []:
        if not isinstance(found, dict) or not found.get("message"):
            continue
        bad = found.get("status") != "True" or found.get("type") in {"Failed", "ReplicaFailure"}
        if bad and found["message"] not in "".join(lines):
            lines.append(f"{found.get('reason') or found.get('type')}: {' '.join(found['message'].split())}")
    return lines


def _selector(selector: Any) -> str:
    if not isinstance(selector, dict):
        return ""
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        # A ReplicationController's selector is the labels themselves; anything else has another meaning.
        return ",".join(f"{key}={value}" for key, value in selector.items() if isinstance(value, str))
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or []:
        key, values = expression["key"], ",".join(expression.get("values") or [])
        parts.append(
            {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}.get(
                expression["operator"], f"!{key}"
            )
        )
    return ",".join(parts)


def _event_time(event: dict[str, Any]) -> str:
    series = event.get("series") or {}
    return str(series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or "")
