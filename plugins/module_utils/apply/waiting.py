"""Wait on watches until objects are ready, or gone."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import ApiError, ApplyError
from .readiness import READY, Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .client import Client, Discovery, Resource
    from .progress import Progress
    from .reasons import Reasons

_WINDOW = 60.0


@dataclass(frozen=True)
class Target:
    """An object that is waited for; ``uid`` tells it from a later one of the same name."""

    resource: Resource
    namespace: str
    name: str
    uid: str = ""

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.namespace + '/' if self.namespace else ''}{self.name}"


class Waiting:
    """Waits for the objects of one component.

    Parameters:
        client: the API server.
        discovery: the kinds it knows.
        selector: the label that every object of the component carries.
        timeout: how long one wait may take, in seconds.
        progress: where to tell what is waited for.
        reasons: who finds out why it takes so long.
    """

    def __init__(
        self, client: Client, discovery: Discovery, selector: str, timeout: float, progress: Progress, reasons: Reasons
    ) -> None:
        self._client = client
        self._discovery = discovery
        self._selector = selector
        self._timeout = timeout
        self._progress = progress
        self._reasons = reasons
        self._late_binding: dict[str, bool] = {}

    def until_ready(self, objects: Iterable[tuple[Target, dict[str, Any]]]) -> None:
        """Wait until all objects are ready.

        Parameters:
            objects: each with what it was like when it was applied; who is ready by then is not looked at again.

        Raises:
            ApplyError: one cannot become ready, or time is up; with the reason for each that is not ready.
        """
        bodies = {target: body for target, body in objects if not self._ready_enough(body).ready}
        if not bodies:
            return
        verdicts = {target: self._ready_enough(body) for target, body in bodies.items()}

        def see(target: Target, body: dict[str, Any] | None) -> Verdict:
            if body is None:
                return Verdict(ready=False, why="has been deleted by someone else")
            bodies[target] = body
            return self._ready_enough(body)

        self._watch(verdicts, see, "waiting for", self._selector, lambda target: self._reasons.brief(bodies[target]))
        late = {target: verdict for target, verdict in verdicts.items() if not verdict.ready}
        if late:
            failed = any(verdict.failed for verdict in late.values())
            ended = "failed" if failed else f"not ready after {self._timeout:g} s"
            texts = [self._reasons.full(bodies[target], verdict.why) for target, verdict in late.items()]
            raise ApplyError(
                f"{len(late)} of the component's objects {ended}:\n" + "\n".join(texts),
                not_ready=[
                    {"kind": t.resource.kind, "namespace": t.namespace, "name": t.name, "reason": v.why}
                    for t, v in late.items()
                ],
            )

    def until_gone(self, targets: Iterable[Target], selector: str | None = None) -> None:
        """Wait until all objects are gone; raise ApplyError with what holds them if time is up."""
        verdicts = {target: Verdict(ready=False, why="is being deleted") for target in targets}
        holders: dict[Target, str] = {}

        def see(target: Target, body: dict[str, Any] | None) -> Verdict:
            if body is None or (target.uid and body["metadata"].get("uid") != target.uid):
                return READY
            held = [name for name in body["metadata"].get("finalizers") or [] if name != "foregroundDeletion"]
            messages = [
                entry.get("message", "")
                for entry in (body.get("status") or {}).get("conditions") or []
                if isinstance(entry, dict) and entry.get("status") == "True" and "Remaining" in str(entry.get("type"))
            ]
            holders[target] = "; ".join(messages) or (
                f"held by the finalizer {', '.join(held)}" if held else "waits for what it owns to go"
            )
            return Verdict(ready=False, why=holders[target])

        if verdicts:
            self._watch(verdicts, see, "deleting", self._selector if selector is None else selector, lambda _: "")
        late = {target: verdict for target, verdict in verdicts.items() if not verdict.ready}
        if late:
            texts = [f"{target}: {verdict.why}" for target, verdict in late.items()]
            raise ApplyError(
                f"{len(late)} objects are not gone after {self._timeout:g} s:\n"
                + "\n".join(texts)
                + "\nRun it again once what holds them is mended."
            )

    def _ready_enough(self, body: dict[str, Any]) -> Verdict:
        verdict = judge(body)
        if not verdict.ready and body["kind"] == "PersistentVolumeClaim" and self._binds_late(body):
            return READY
        return verdict

    def _binds_late(self, claim: dict[str, Any]) -> bool:
        """Whether a claim stays unbound by intention until a pod uses it."""
        name = claim["spec"].get("storageClassName") or ""
        if name not in self._late_binding:
            classes = self._discovery.preferred("storage.k8s.io", "StorageClass")
            try:
                found = self._client.get(classes, "", name) if classes and name else None
            except ApiError:
                found = None
            self._late_binding[name] = bool(found and found.get("volumeBindingMode") == "WaitForFirstConsumer")
        return self._late_binding[name]

    def _watch(
        self,
        verdicts: dict[Target, Verdict],
        see: Callable[[Target, dict[str, Any] | None], Verdict],
        doing: str,
        selector: str,
        detail: Callable[[Target], str],
    ) -> None:
        """Keep ``verdicts`` up to date until all are ready, one has failed, or time is up."""
        started = time.monotonic()
        deadline = started + self._timeout
        news = threading.Condition()
        over = threading.Event()

        def update(target: Target, body: dict[str, Any] | None) -> None:
            verdict = see(target, body)
            with news:
                verdicts[target] = verdict
                news.notify()

        for resource in {target.resource for target in verdicts}:
            targets = {(target.namespace, target.name): target for target in verdicts if target.resource == resource}
            watcher = _Watcher(self._client, resource, targets, selector, update, over, deadline)
            threading.Thread(target=watcher.run, daemon=True, name=f"watch-{resource.plural}").start()
        try:
            while True:
                with news:
                    open_targets = [target for target, verdict in verdicts.items() if not verdict.ready]
                    remaining = deadline - time.monotonic()
                    if not open_targets or remaining <= 0 or any(verdicts[target].failed for target in open_targets):
                        return
                    news.wait(min(remaining, 1.0))
                if open_targets and self._progress.due(started):
                    self._progress.say(self._describe(doing, open_targets, verdicts, detail), started)
        finally:
            over.set()

    def _describe(
        self, doing: str, targets: list[Target], verdicts: dict[Target, Verdict], detail: Callable[[Target], str]
    ) -> str:
        target = targets[0]
        extra = detail(target)
        more = f", and {len(targets) - 1} more" if len(targets) > 1 else ""
        return f"{doing} {target}: {verdicts[target].why}{f' ({extra})' if extra else ''}{more}"


class _Watcher:
    """Follows the objects of one kind."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        targets: dict[tuple[str, str], Target],
        selector: str,
        update: Callable[[Target, dict[str, Any] | None], None],
        over: threading.Event,
        deadline: float,
    ) -> None:
        self._client = client
        self._resource = resource
        self._targets = targets
        self._selector = selector
        # One object, or one namespace, is all that is asked for where that will do.
        namespaces = {namespace for namespace, _ in targets}
        self._namespace = namespaces.pop() if len(namespaces) == 1 else ""
        self._fields = f"metadata.name={next(iter(targets))[1]}" if len(targets) == 1 else ""
        self._update = update
        self._over = over
        self._deadline = deadline

    def run(self) -> None:
        while not self._over.is_set() and time.monotonic() < self._deadline:
            try:
                self._follow()
            except ApplyError:
                # The server is busy or restarting; the deadline ends this.
                self._over.wait(1.0)

    def _follow(self) -> None:
        items, version = self._client.list(
            self._resource, namespace=self._namespace, selector=self._selector, fields=self._fields
        )
        present = {(item["metadata"].get("namespace", ""), item["metadata"]["name"]): item for item in items}
        for key, target in self._targets.items():
            self._update(target, present.get(key))
        while not self._over.is_set():
            seconds = min(_WINDOW, self._deadline - time.monotonic())
            if seconds <= 0:
                return
            events = self._client.watch(
                self._resource,
                namespace=self._namespace,
                selector=self._selector,
                fields=self._fields,
                version=version,
                seconds=seconds,
            )
            for event, body in events:
                if self._over.is_set():
                    return
                if event == "ERROR":
                    return  # the version is too old: begin anew
                version = body["metadata"]["resourceVersion"]
                found = self._targets.get((body["metadata"].get("namespace", ""), body["metadata"]["name"]))
                if event != "BOOKMARK" and found:
                    self._update(found, None if event == "DELETED" else body)
