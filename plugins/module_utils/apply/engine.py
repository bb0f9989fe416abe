"""Bring a component's objects to what was asked for, or remove them."""

from __future__ import annotations

import base64
import fnmatch
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .applyset import ID, PART_OF, ApplySet, GroupKind, Members, members_of
from .client import Client, Discovery, Resource
from .diff import content, overlay, render
from .errors import ApiError, ApplyError, Unreachable
from .manifest import CLUSTER_SCOPED, WAVE, WORKLOADS, Item, Ref, Step, plan, refuse_duplicates
from .progress import Progress
from .reasons import Reasons
from .waiting import Target, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# On a namespace that was made because a component needed it, not because someone declared it.
IMPLICIT = "titanium.platform/implicit"
_LEFTOVERS = {
    # What is in every namespace, or comes and goes by itself.
    ("", "ConfigMap"): {"kube-root-ca.crt", "istio-ca-root-cert", "istio-ca-crl", "openshift-service-ca.crt"},
    ("", "ServiceAccount"): {"default"},
}
_TRANSIENT = {"Endpoints", "EndpointSlice", "Event", "Lease", "PodMetrics"}
_IMMUTABLE = re.compile(
    r"immutable|updates to statefulset spec for fields other than|may not (?:be changed|change)|cannot (?:be changed|change)"
    r"|pod updates may not change fields other than"
)
_CONFLICT = re.compile(r'conflict with "(?P<manager>[^"]*)"(?: with subresource "[^"]*")?(?P<updated> using )?')


@dataclass(frozen=True)
class Options:
    """How to apply; the names are the module's parameters."""

    name: str
    namespace: str
    state: str = "present"
    prune: bool = True
    wait: bool = True
    wait_timeout: float = 300
    field_manager: str = "titanium"
    force_conflicts: bool = False
    drift_managers: tuple[str, ...] = ()
    concurrency: int = 16
    check: bool = False
    diff: bool = False


@dataclass
class Outcome:
    """What happened to one object."""

    ref: Ref
    api_version: str
    action: str
    diff: dict[str, str] | None = None
    body: dict[str, Any] | None = None
    resource: Resource | None = None

    def report(self) -> dict[str, str]:
        return {
            "api_version": self.api_version,
            "kind": self.ref.kind,
            "namespace": self.ref.namespace,
            "name": self.ref.name,
            "action": self.action,
        }


@dataclass
class Result:
    """What happened to all of them; kept up to date while it happens, so that a failure can tell what was done."""

    outcomes: list[Outcome] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return any(outcome.action != "unchanged" for outcome in self.outcomes)

    def as_dict(self) -> dict[str, Any]:
        counts = dict.fromkeys(("created", "configured", "recreated", "unchanged", "pruned", "deleted"), 0)
        for outcome in self.outcomes:
            counts[outcome.action] += 1
        return {
            "changed": self.changed,
            "objects": [outcome.report() for outcome in self.outcomes],
            "counts": counts,
            "diff": [outcome.diff for outcome in self.outcomes if outcome.diff],
        }


class Redactor:
    """Takes the values of Secrets out of texts.

    Parameters:
        items: the objects that were asked for.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._values: set[str] = set()
        for item in items:
            if item.is_secret:
                self._values |= secret_values(item.body)

    def __call__(self, text: str, shortest: int = 6) -> str:
        """Return ``text`` without any secret value of at least ``shortest`` characters."""
        for value in sorted(self._values, key=len, reverse=True):
            if len(value) >= shortest:
                text = text.replace(value, "<secret>")
        return text


def secret_values(body: dict[str, Any]) -> set[str]:
    """Return every spelling in which the values of a Secret may turn up in a message."""
    values: set[str] = set()
    for key in ("data", "stringData"):
        for value in _leaves(body.get(key)):
            text = value if isinstance(value, str) else str(value)
            spellings = {text, text.strip(), *text.splitlines(), base64.b64encode(text.encode()).decode()}
            if key == "data" and isinstance(value, str):
                try:
                    plain = base64.b64decode(value, validate=True).decode()
                    spellings |= {plain, plain.strip(), *plain.splitlines()}
                except ValueError:
                    pass
            values |= {spelling for spelling in spellings if spelling}
    return values


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
    elif value is not None:
        yield value


class Engine:
    """One run for one component.

    Parameters:
        options: how to apply.
        connect: makes the client, or raises Unreachable.
        redact: takes secrets out of messages.
        result: filled while the run goes on.
    """

    def __init__(self, options: Options, connect: Callable[[], Client], redact: Redactor, result: Result) -> None:
        self._options = options
        self._connect = connect
        self._redact = redact
        self._result = result
        self._progress = Progress(options.name)

    def present(self, items: list[Item]) -> None:
        """Apply ``items`` and prune what the component had and no longer has.

        Raises:
            ApplyError: with one paragraph for each object that could not be applied or did not become ready.
        """
        steps = plan(items)
        if not self._open():
            self._offline(items)
            return
        self._resolve(items)
        refuse_duplicates(items)
        self._look_at_namespaces(items)
        own_namespace = next(
            (item for item in items if item.is_namespace and item.name == self._options.namespace), None
        )
        if own_namespace is None:
            self._make_namespace()
        elif self._options.namespace in self._missing and not self._options.check:
            # The record needs a place before it can say what is about to be made.
            self._step(Step([own_namespace], settle=True))
            steps[0].items.remove(own_namespace)
        if self._options.namespace not in self._missing:
            self._set.load()
        wanted = members_of((item.group, item.kind, item.namespace) for item in items)
        if not self._options.check:
            self._set.record(wanted | self._set.recorded)
        for step in steps:
            self._step(step)
        if self._options.prune:
            self._prune(wanted, {item.ref for item in items})
            if not self._options.check:
                self._set.record(wanted)
        self._result.warnings += sorted(self._client.warnings)

    def absent(self) -> None:
        """Delete everything that belongs to the component, and its record."""
        if not self._open():
            return
        if self._namespace_state() == "absent":
            self._missing.add(self._options.namespace)
        else:
            self._set.load()
        if self._set.exists:
            kinds = [
                self._discovery.preferred(kind.group, kind.kind) for kind in sorted(self._set.recorded.group_kinds)
            ]
            resources = [resource for resource in kinds if resource]
        else:
            # The record is lost, or there never was one: look everywhere.
            resources = self._discovery.listable()
        members = self._members(resources, self._set.recorded.namespaces)
        self._delete(members, "deleted")
        if not self._options.check and self._set.exists:
            self._set.forget()
        self._drop_implicit_namespace()

    # -- before anything is changed

    def _open(self) -> bool:
        """Connect; return False in check mode if there is no cluster yet."""
        try:
            self._client = self._connect()
            self._discovery = self._client.discover()
        except Unreachable as error:
            if not self._options.check:
                raise
            self._result.warnings.append(f"{str(error).splitlines()[0]}: checked as if the cluster were empty")
            return False
        secrets = self._discovery.find("v1", "Secret")
        if secrets is None:
            raise ApplyError(f"{self._client.host} does not serve Secrets: is it a Kubernetes API server?")
        self._set = ApplySet(self._client, secrets, self._options.name, self._options.namespace)
        self._promised = Discovery()
        self._missing: set[str] = set()
        self._unsettled: list[Outcome] = []
        self._waiting = Waiting(
            self._client,
            self._discovery,
            f"{PART_OF}={self._set.id}",
            self._options.wait_timeout,
            self._progress,
            Reasons(self._client, self._discovery),
        )
        return True

    def _offline(self, items: list[Item]) -> None:
        """Show everything as created, without a server to ask."""
        scopes = {
            (crd.body["spec"].get("group"), (crd.body["spec"].get("names") or {}).get("kind")): crd.body["spec"].get(
                "scope"
            )
            for crd in items
            if crd.is_crd and isinstance(crd.body.get("spec"), dict)
        }
        for item in items:
            scope = scopes.get((item.group, item.kind), "Cluster" if item.kind in CLUSTER_SCOPED else "Namespaced")
            self._settle_namespace(item, namespaced=scope == "Namespaced")
        refuse_duplicates(items)
        for step in plan(items):
            self._result.outcomes += [self._virtually_created(item) for item in step.items]

    def _settle_namespace(self, item: Item, namespaced: bool) -> None:
        item.namespaced = namespaced
        metadata = item.body["metadata"]
        if namespaced:
            metadata["namespace"] = metadata.get("namespace") or self._options.namespace
        else:
            metadata.pop("namespace", None)

    def _resolve(self, items: list[Item]) -> None:
        """Find where each object lives; raise ApplyError for kinds that nobody knows."""
        for item in items:
            if item.is_crd:
                try:
                    self._promised.add_crd(item.body)
                except (KeyError, TypeError, AttributeError) as error:
                    raise ApplyError(
                        f"{item.origin}: {item.ref}: spec is not that of a CustomResourceDefinition ({error} is missing or wrong)"
                    ) from None
        problems = []
        for item in items:
            known = self._discovery.find(item.api_version, item.kind)
            resource = known or self._promised.find(item.api_version, item.kind)
            if resource is None:
                problem = self._unknown(item)
                if not self._options.check:
                    problems.append(f"{item.origin}: {problem}")
                    continue
                self._result.warnings.append(f"{problem}; checked as if it were")
            self._settle_namespace(
                item, resource.namespaced if resource else bool(item.body["metadata"].get("namespace"))
            )
        if problems:
            raise ApplyError("\n".join(problems))

    def _unknown(self, item: Item) -> str:
        text = f"no matches for kind {item.kind} in {item.api_version} ({item.kind} {item.name}): is its CRD installed?"
        versions = self._discovery.versions(item.group, item.kind) + self._promised.versions(item.group, item.kind)
        if versions:
            known = ", ".join(f"{item.group}/{version}" if item.group else version for version in sorted(set(versions)))
            text = f"no matches for kind {item.kind} in {item.api_version} ({item.kind} {item.name}): the server knows it in {known}"
        elif item.group in self._discovery.stale_groups:
            text += " Its API service does not answer at the moment."
        return text

    def _namespace_resource(self) -> Resource:
        resource = self._discovery.find("v1", "Namespace")
        if resource is None:
            raise ApplyError(f"{self._client.host} does not serve namespaces: is it a Kubernetes API server?")
        return resource

    def _namespace_state(self, name: str = "") -> str:
        """Return ``present`` or ``absent``; waits for one that is being deleted, but in check mode counts it as absent."""
        name = name or self._options.namespace
        resource = self._namespace_resource()
        live = self._client.get(resource, "", name)
        if live is None:
            return "absent"
        if live["metadata"].get("deletionTimestamp"):
            if not self._options.check:
                self._waiting.until_gone([Target(resource, "", name, live["metadata"]["uid"])], selector="")
            return "absent"
        return "present"

    def _look_at_namespaces(self, items: list[Item]) -> None:
        names = sorted({item.namespace for item in items if item.namespace} | {self._options.namespace})
        states = self._client.each(self._namespace_state, names)
        self._missing = {name for name, state in zip(names, states, strict=True) if state == "absent"}
        declared = {item.name for item in items if item.is_namespace} | {self._options.namespace}
        lost = {name for name in self._missing if name not in declared}
        if lost and not self._options.check:
            users = [
                f"{item.origin}: {item.ref}: the namespace {item.namespace} does not exist"
                for item in items
                if item.namespace in lost
            ]
            raise ApplyError("\n".join(users) + "\nAdd the namespace to the definition, or create it first.")

    def _make_namespace(self) -> None:
        """Create the component's namespace where nobody declares it; the last component to leave removes it."""
        name = self._options.namespace
        if name not in self._missing:
            return
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "annotations": {IMPLICIT: "true"}}}
        outcome = Outcome(Ref("", "Namespace", "", name), "v1", "created")
        if not self._options.check:
            self._client.apply(self._namespace_resource(), body, manager=self._options.field_manager)
            self._missing.discard(name)
        if self._options.diff:
            outcome.diff = render(f"Namespace {name}", None, body, secret=False)
        self._result.outcomes.append(outcome)

    # -- applying

    def _step(self, step: Step) -> None:
        answers = self._client.each(self._try_apply, step.items)
        done = [answer for answer in answers if isinstance(answer, Outcome)]
        self._result.outcomes += done
        problems = [answer for answer in answers if isinstance(answer, ApplyError)]
        if problems:
            conflicts = [conflict for problem in problems for conflict in problem.details.get("conflicts", [])]
            raise ApplyError("\n".join(map(str, problems)), **({"conflicts": conflicts} if conflicts else {}))
        if self._options.check:
            return
        for outcome in done:
            if outcome.ref.kind == "CustomResourceDefinition" and outcome.body:
                self._discovery.add_crd(outcome.body)
            elif outcome.ref.kind == "Namespace" and outcome.ref.group == "":
                self._missing.discard(outcome.ref.name)
        foundation = any(item.is_crd or item.is_namespace for item in step.items)
        self._unsettled += done
        if step.settle and (self._options.wait or foundation):
            settling, self._unsettled = self._unsettled, []
            self._waiting.until_ready(
                (Target(outcome.resource, outcome.ref.namespace, outcome.ref.name), outcome.body)
                for outcome in settling
                if outcome.resource and outcome.body
            )

    def _try_apply(self, item: Item) -> Outcome | ApplyError:
        try:
            return self._apply(item)
        except ApiError as error:
            shortest = 3 if item.is_secret else 6
            text = " ".join(self._redact(str(error), shortest).split())
            return ApplyError(f"{item.ref} ({item.origin}): {text}{self._mend(error)}")
        except Unreachable:
            raise
        except ApplyError as error:
            return error

    def _mend(self, error: ApiError) -> str:
        if error.status == 422 and _IMMUTABLE.search(str(error)):
            return (
                "\n  What cannot be changed in place needs a new object: delete it and run again, or let it be deleted and made anew"
                " by the annotation argocd.argoproj.io/sync-options: Force=true."
            )
        if error.status == 403:
            return "\n  Give the user of this kubeconfig that right, or mend what the message names."
        return ""

    def _apply(self, item: Item) -> Outcome:
        known = self._discovery.find(item.api_version, item.kind)
        resource = known or self._promised.find(item.api_version, item.kind)
        if self._options.check and (known is None or item.namespace in self._missing):
            if known is not None:
                self._validate_elsewhere(known, item)
            return self._virtually_created(item)
        if resource is None:  # _resolve has seen to it
            raise ApplyError(self._unknown(item))
        live = self._client.get(resource, item.namespace, item.name)
        if live is not None and live["metadata"].get("deletionTimestamp"):
            if not self._options.check:
                target = Target(resource, item.namespace, item.name, live["metadata"]["uid"])
                self._waiting.until_gone([target], selector="")
            live = None
        self._refuse_foreign(item, live)
        body = self._labelled(item)
        try:
            after = self._send(resource, item, body)
        except ApiError as error:
            if live is None or not item.may_recreate or error.status != 422 or not _IMMUTABLE.search(str(error)):
                raise
            return self._recreate(resource, item, body, live)
        action = "created"
        if live is not None:
            # What a dry run returns bears the live object's version even if it differs.
            untouched = (
                not self._options.check and live["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
            )
            same = untouched or content(live) == content(after)
            action = "unchanged" if same else "configured"
        outcome = Outcome(item.ref, item.api_version, action, body=after, resource=resource)
        if self._options.diff and action != "unchanged":
            outcome.diff = render(str(item.ref), live, after if live is not None else item.body, secret=item.is_secret)
        return outcome

    def _labelled(self, item: Item) -> dict[str, Any]:
        metadata = item.body["metadata"]
        return {
            **item.body,
            "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), PART_OF: self._set.id}},
        }

    def _send(self, resource: Resource, item: Item, body: dict[str, Any]) -> dict[str, Any]:
        """Apply, taking back what was changed by hand; wait a moment for a kind that was only just made."""
        force = self._options.force_conflicts
        patience = time.monotonic() + 15
        while True:
            try:
                return self._client.apply(
                    resource, body, manager=self._options.field_manager, force=force, dry_run=self._options.check
                )
            except ApiError as error:
                if (
                    error.status == 409
                    and error.reason == "Conflict"
                    and any(c.get("reason") == "FieldManagerConflict" for c in error.causes)
                ):
                    conflicts = _conflicts(item, error)
                    others = [c for c in conflicts if not (c["by_hand"] and self._is_drift(c["manager"]))]
                    if others:
                        raise _conflict_error(item, others) from error
                    force = True
                elif (
                    error.status == 404
                    and not resource.builtin
                    and not self._options.check
                    and time.monotonic() < patience
                ):
                    time.sleep(0.2)  # the server takes a moment to serve a new kind
                else:
                    raise

    def _is_drift(self, manager: str) -> bool:
        return any(fnmatch.fnmatchcase(manager, pattern) for pattern in self._options.drift_managers)

    def _recreate(self, resource: Resource, item: Item, body: dict[str, Any], live: dict[str, Any]) -> Outcome:
        """Delete an object and make it anew."""
        if self._options.check:
            after = overlay(content(live), item.body)
        else:
            uid = live["metadata"]["uid"]
            self._client.delete(resource, item.namespace, item.name, uid=uid)
            self._waiting.until_gone([Target(resource, item.namespace, item.name, uid)], selector="")
            after = self._send(resource, item, body)
        outcome = Outcome(item.ref, item.api_version, "recreated", body=after, resource=resource)
        if self._options.diff:
            outcome.diff = render(str(item.ref), live, overlay(content(live), item.body), secret=item.is_secret)
        return outcome

    def _virtually_created(self, item: Item) -> Outcome:
        outcome = Outcome(item.ref, item.api_version, "created")
        if self._options.diff:
            outcome.diff = render(str(item.ref), None, item.body, secret=item.is_secret)
        return outcome

    def _validate_elsewhere(self, resource: Resource, item: Item) -> None:
        """Let the server look at an object whose namespace does not exist yet, as if it were meant for another one."""
        body = {**item.body, "metadata": {**item.body["metadata"], "namespace": "default"}}
        try:
            self._client.apply(resource, body, manager=self._options.field_manager, force=True, dry_run=True)
        except ApiError as error:
            # What is wrong with the object would be wrong anywhere; rights, quotas and conflicts would not.
            wrong = error.status == 400 or "failed to create typed patch object" in str(error)
            if wrong or (error.status == 422 and not _IMMUTABLE.search(str(error))):
                text = self._redact(str(error), 3 if item.is_secret else 6).replace("(default/", f"({item.namespace}/")
                raise ApplyError(f"{item.ref} ({item.origin}): {text}") from error

    def _refuse_foreign(self, item: Item, live: dict[str, Any] | None) -> None:
        owner = ((live or {}).get("metadata", {}).get("labels") or {}).get(PART_OF)
        if owner and owner != self._set.id:
            whose = self._component(owner)
            hint = " Leave namespaces that components share out of the definition." if item.is_namespace else ""
            raise ApplyError(
                f"{item.ref} ({item.origin}) belongs to {whose}\n"
                f"  Keep it in one component; to move it, delete its label {PART_OF} first.{hint}"
            )

    def _component(self, applyset: str) -> str:
        secrets = self._discovery.find("v1", "Secret")
        if secrets:
            try:
                parents, _ = self._client.list(secrets, selector=f"{ID}={applyset}", metadata_only=True)
            except ApplyError:
                parents = []
            for parent in parents:
                metadata = parent["metadata"]
                return f"the component {metadata['name'].removeprefix('applyset-')} (ApplySet {metadata['namespace']}/{metadata['name']})"
        return f"another component, whose record is lost (ApplySet {applyset})"

    # -- removing

    def _members(
        self, resources: Iterable[Resource], namespaces: Iterable[str]
    ) -> list[tuple[Resource, dict[str, Any]]]:
        """Return the component's live objects of the given kinds, without what others made from them."""
        selector = f"{PART_OF}={self._set.id}"
        everywhere = sorted({self._options.namespace, *namespaces} - self._missing)

        def find(resource: Resource) -> list[tuple[Resource, dict[str, Any]]]:
            try:
                items, _ = self._client.list(resource, selector=selector, metadata_only=True)
            except ApiError as error:
                if error.status in {404, 405, 503}:
                    return []  # served no longer, or not now
                if error.status != 403 or not resource.namespaced:
                    raise
                items = [
                    item
                    for name in everywhere
                    for item in self._client.list(resource, namespace=name, selector=selector, metadata_only=True)[0]
                ]
            return [(resource, item) for item in items if not item["metadata"].get("ownerReferences")]

        return [member for found in self._client.each(find, resources) for member in found]

    def _prune(self, wanted: Members, refs: set[Ref]) -> None:
        if not self._set.exists:
            return
        kinds = self._set.recorded.group_kinds | wanted.group_kinds
        resources = [
            resource for kind in sorted(kinds) if (resource := self._discovery.preferred(kind.group, kind.kind))
        ]
        members = self._members(resources, self._set.recorded.namespaces)
        dropped = [(resource, body) for resource, body in members if _ref(resource, body) not in refs]
        self._delete(dropped, "pruned")

    def _delete(self, members: list[tuple[Resource, dict[str, Any]]], action: str) -> None:
        """Delete members in an order in which nothing loses what it needs to go in peace."""
        phases: dict[tuple[int, int, int], list[tuple[Resource, dict[str, Any]]]] = {}
        for resource, body in members:
            phases.setdefault(_removal_phase(resource, body), []).append((resource, body))
        for phase in sorted(phases):
            entries = phases[phase]
            if phase[0] == 3:
                entries = [
                    entry
                    for entry in entries
                    if self._may_drop_namespace(entry[1]["metadata"]["name"], keep_as_implicit=True)
                ]
            dropped = self._client.each(self._drop, entries)
            for (resource, body), is_gone in zip(entries, dropped, strict=True):
                if not is_gone:
                    continue
                ref = _ref(resource, body)
                outcome = Outcome(ref, body["apiVersion"], action)
                if self._options.diff:
                    outcome.diff = render(str(ref), body, None, secret=False)
                self._result.outcomes.append(outcome)
            if not self._options.check and (self._options.wait or phase[0] == 0):
                self._waiting.until_gone(
                    Target(r, _ref(r, b).namespace, b["metadata"]["name"], b["metadata"]["uid"]) for r, b in entries
                )

    def _drop(self, member: tuple[Resource, dict[str, Any]]) -> bool:
        resource, body = member
        metadata = body["metadata"]
        try:
            return self._client.delete(
                resource,
                metadata.get("namespace", ""),
                metadata["name"],
                uid=metadata["uid"],
                dry_run=self._options.check,
            )
        except ApiError as error:
            raise ApplyError(f"cannot delete {_ref(resource, body)}: {' '.join(str(error).split())}") from error

    def _drop_implicit_namespace(self) -> None:
        """Remove the namespace that was made for this component, if it was the last one in it."""
        name = self._options.namespace
        if name in self._missing:
            return
        resource = self._namespace_resource()
        live = self._client.get(resource, "", name)
        if live is None or live["metadata"].get("deletionTimestamp"):
            return
        metadata = live["metadata"]
        if IMPLICIT not in (metadata.get("annotations") or {}) or PART_OF in (metadata.get("labels") or {}):
            return
        if not self._may_drop_namespace(name):
            return
        self._client.delete(resource, "", name, uid=metadata["uid"], dry_run=self._options.check)
        outcome = Outcome(Ref("", "Namespace", "", name), "v1", "deleted")
        if self._options.diff:
            outcome.diff = render(f"Namespace {name}", live, None, secret=False)
        self._result.outcomes.append(outcome)
        if self._options.wait and not self._options.check:
            self._waiting.until_gone([Target(resource, "", name, metadata["uid"])], selector="")

    def _may_drop_namespace(self, name: str, keep_as_implicit: bool = False) -> bool:
        """Whether nothing of anybody else is left in a namespace; warns if there is."""
        left = self._others_in(name)
        if not left:
            return True
        shown = ", ".join(left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
        self._result.warnings.append(f"the namespace {name} is kept: it still holds {shown}")
        if keep_as_implicit and not self._options.check:
            # Whoever leaves last removes it.
            patch = {"metadata": {"labels": {PART_OF: None}, "annotations": {IMPLICIT: "true"}}}
            self._client.request(
                "PATCH",
                self._namespace_resource().path("", name),
                body=patch,
                query={"fieldManager": self._options.field_manager},
                headers={"Content-Type": "application/merge-patch+json"},
            )
        return False

    def _others_in(self, namespace: str) -> list[str]:
        def find(resource: Resource) -> list[str]:
            try:
                items, _ = self._client.list(resource, namespace=namespace, metadata_only=True)
            except ApiError:
                return []
            return [str(_ref(resource, item)) for item in items if self._counts(resource, item)]

        resources = [
            resource
            for resource in self._discovery.listable()
            if resource.namespaced and resource.kind not in _TRANSIENT
        ]
        return sorted(text for found in self._client.each(find, resources) for text in found)

    def _counts(self, resource: Resource, item: dict[str, Any]) -> bool:
        """Whether an object is a reason to keep its namespace."""
        metadata = item["metadata"]
        if metadata.get("deletionTimestamp") or metadata.get("ownerReferences"):
            return False
        if metadata["name"] in _LEFTOVERS.get((resource.group, resource.kind), set()):
            return False
        labels = metadata.get("labels") or {}
        return labels.get(PART_OF) != self._set.id and labels.get(ID) != self._set.id


def _ref(resource: Resource, body: dict[str, Any]) -> Ref:
    metadata = body["metadata"]
    return Ref(
        resource.group, resource.kind, metadata.get("namespace", "") if resource.namespaced else "", metadata["name"]
    )


def _removal_phase(resource: Resource, body: dict[str, Any]) -> tuple[int, int, int]:
    """Return when an object goes: custom resources while their controller still runs, CRDs and namespaces last; else waves backwards."""
    if resource.kind == "CustomResourceDefinition" and resource.group == "apiextensions.k8s.io":
        return 2, 0, 0
    if resource.kind == "Namespace" and not resource.group:
        return 3, 0, 0
    try:
        wave = int((body["metadata"].get("annotations") or {}).get(WAVE, "0"))
    except ValueError:
        wave = 0
    if not resource.builtin:
        return 0, -wave, 0
    return 1, -wave, 0 if resource.kind in WORKLOADS else 1


def _conflicts(item: Item, error: ApiError) -> list[dict[str, Any]]:
    found: dict[tuple[str, bool], list[str]] = {}
    for cause in error.causes:
        match = _CONFLICT.search(cause.get("message") or "")
        manager = match["manager"] if match else "unknown"
        # Only an update names the version it used; someone who applies declares that the field is theirs.
        by_hand = bool(match and match["updated"])
        found.setdefault((manager, by_hand), []).append(cause.get("field") or "?")
    return [
        {
            "kind": item.kind,
            "namespace": item.namespace,
            "name": item.name,
            "manager": manager,
            "fields": sorted(fields),
            "by_hand": by_hand,
        }
        for (manager, by_hand), fields in found.items()
    ]


def _conflict_error(item: Item, conflicts: list[dict[str, Any]]) -> ApplyError:
    lines = [
        f"{item.ref} ({item.origin}): the field manager {c['manager']} keeps another value in {', '.join(c['fields'])}"
        for c in conflicts
    ]
    return ApplyError(
        "\n".join(lines)
        + "\n  Leave these fields out of the definition, or take them over with force_conflicts: true.",
        conflicts=[{key: value for key, value in conflict.items() if key != "by_hand"} for conflict in conflicts],
    )


__all__ = ["Engine", "GroupKind", "Options", "Redactor", "Result"]
