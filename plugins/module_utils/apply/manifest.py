"""Read manifests, find what is wrong with them before anything is sent, and put them in order."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from .errors import ApplyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WAVE = "argocd.argoproj.io/sync-wave"
HOOK = "argocd.argoproj.io/hook"
SYNC_OPTIONS = "argocd.argoproj.io/sync-options"

# Kinds that run something: within a wave they come after what they may mount, read or be allowed by.
WORKLOADS = frozenset(
    {"CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "ReplicationController", "StatefulSet"}
)

# Only used while there is no API server to ask.
CLUSTER_SCOPED = frozenset(
    {
        "APIService",
        "CSIDriver",
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterTrustBundle",
        "CustomResourceDefinition",
        "DeviceClass",
        "FlowSchema",
        "IngressClass",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "RuntimeClass",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
        "VolumeAttributesClass",
    }
)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as Kubernetes reads it: refuses repeated keys, leaves timestamps and a lone `=` as text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
                continue
            if key_node.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key_node.value!r} is repeated", problem_mark=key_node.start_mark
                )
            seen.add(key_node.value)
        return dict(super().construct_mapping(node, deep))


_AS_TEXT = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _AS_TEXT]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, order=True)
class Ref:
    """What identifies an object; ``namespace`` is empty for one that has none."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace + '/' if self.namespace else ''}{self.name}"


@dataclass
class Item:
    """One object as it was asked for.

    ``origin`` says where it was written ("document 3 of database.yml") for messages.
    """

    body: dict[str, Any]
    origin: str
    namespaced: bool = True
    annotations: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.annotations = self.body["metadata"].get("annotations") or {}

    @property
    def api_version(self) -> str:
        return str(self.body["apiVersion"])

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def kind(self) -> str:
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        return str(self.body["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.body["metadata"].get("namespace") or "") if self.namespaced else ""

    @property
    def ref(self) -> Ref:
        return Ref(self.group, self.kind, self.namespace, self.name)

    @property
    def is_crd(self) -> bool:
        return self.kind == "CustomResourceDefinition" and self.group == "apiextensions.k8s.io"

    @property
    def is_namespace(self) -> bool:
        return self.kind == "Namespace" and self.group == ""

    @property
    def is_secret(self) -> bool:
        return self.kind == "Secret" and self.group == ""

    @property
    def may_recreate(self) -> bool:
        """Whether it may be deleted and made anew when a field that cannot be changed has changed."""
        options = {option.strip() for option in self.annotations.get(SYNC_OPTIONS, "").split(",")}
        return (self.kind == "Job" and self.group == "batch") or bool(options & {"Force=true", "Replace=true"})

    @property
    def is_presync(self) -> bool:
        return "PreSync" in {hook.strip() for hook in self.annotations.get(HOOK, "").split(",")}

    @property
    def wave(self) -> int:
        value = str(self.annotations.get(WAVE, "0"))
        try:
            return int(value)
        except ValueError:
            raise ApplyError(
                f"{self.origin}: {self.kind} {self.name}: the annotation {WAVE} must be a whole number, not {value!r}"
            ) from None


def read(definition: Any, src: Iterable[str] = ()) -> list[Item]:
    """Return the objects of ``definition`` (an object, YAML text, or a list of either) and of the files ``src``.

    Raises:
        ApplyError: unreadable file, wrong YAML (with its line), or an object without kind, apiVersion or name
            (with the number of its document), all of them at once.
    """
    problems: list[str] = []
    items: list[Item] = []
    for body, origin in _documents(definition, src, problems):
        problem = _problem(body)
        if problem:
            problems.append(f"{origin}: {problem}")
            continue
        items.append(Item(copy.deepcopy(body), origin))
    if problems:
        raise ApplyError("\n".join(problems))
    return items


def _documents(definition: Any, src: Iterable[str], problems: list[str]) -> Iterator[tuple[Any, str]]:
    for path in src:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"cannot read {path}: {getattr(error, 'strerror', None) or error}")
            continue
        yield from _parse(text, f" of {path}", problems)
    if definition is None:
        return
    entries = definition if isinstance(definition, list) else [definition]
    for number, entry in enumerate(entries, 1):
        where = "definition" if not isinstance(definition, list) else f"definition[{number - 1}]"
        if isinstance(entry, str):
            yield from _parse(entry, f" of {where}", problems)
        else:
            yield from _unfold(entry, where)


def parse(text: str) -> Iterator[Any]:
    """Yield the documents of a YAML text as Kubernetes means them: `=`, a date and the like are texts."""
    yield from yaml.load_all(text, Loader=_Loader)


def _parse(text: str, where: str, problems: list[str]) -> Iterator[tuple[Any, str]]:
    try:
        for number, document in enumerate(parse(text), 1):
            if document is not None:
                yield from _unfold(document, f"document {number}{where}")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problems.append(f"wrong YAML{where.replace(' of ', ' in ')}{line}: {error.problem or error.context}")
    except yaml.YAMLError as error:
        problems.append(f"wrong YAML{where.replace(' of ', ' in ')}: {str(error).splitlines()[0]}")


def _unfold(document: Any, origin: str) -> Iterator[tuple[Any, str]]:
    if isinstance(document, list):
        for number, entry in enumerate(document):
            yield from _unfold(entry, f"{origin}[{number}]")
    elif (
        isinstance(document, dict)
        and isinstance(document.get("items"), list)
        and str(document.get("kind", "")).endswith("List")
    ):
        for number, entry in enumerate(document["items"]):
            yield from _unfold(entry, f"{origin}, items[{number}]")
    else:
        yield document, origin


def _problem(body: Any) -> str | None:
    """Say what keeps ``body`` from being an object, or None."""
    if not isinstance(body, dict):
        return f"not an object but {type(body).__name__}; each document needs apiVersion, kind and metadata.name"
    known = " ".join(str(body[key]) for key in ("kind",) if isinstance(body.get(key), str))
    metadata = body.get("metadata")
    if isinstance(metadata, dict) and metadata.get("name"):
        known = f"{known} {metadata['name']}".strip()
    prefix = f"{known}: " if known else ""
    for key in ("apiVersion", "kind"):
        if not isinstance(body.get(key), str) or not body[key]:
            return f"{prefix}{key} is missing"
    if not isinstance(metadata, dict) or not metadata.get("name"):
        if isinstance(metadata, dict) and metadata.get("generateName"):
            return f"{prefix}generateName cannot be applied again; give metadata.name"
        return f"{prefix}metadata.name is missing"
    if not isinstance(metadata["name"], str):
        return f"{prefix}metadata.name must be text: put {metadata['name']!r} in quotes"
    for key in ("labels", "annotations"):
        values = metadata.get(key) or {}
        if not isinstance(values, dict):
            return f"{prefix}metadata.{key} must map names to text"
        for name, value in values.items():
            if not isinstance(value, str):
                return f"{prefix}metadata.{key}: the value of {name} must be text: put {value!r} in quotes"
    return None


def refuse_duplicates(items: Iterable[Item]) -> None:
    """Raise ApplyError if an object is there twice; its namespace must be settled before."""
    seen: dict[Ref, Item] = {}
    problems = []
    for item in items:
        first = seen.setdefault(item.ref, item)
        if first is not item:
            problems.append(f"{item.ref} is there twice: {first.origin} and {item.origin}")
    if problems:
        raise ApplyError("\n".join(problems) + "\nKeep one of each.")


@dataclass
class Step:
    """Objects that can be applied at once; ``settle`` says whether they must be ready before the next step."""

    items: list[Item]
    settle: bool


def plan(items: Iterable[Item]) -> list[Step]:
    """Put objects in order.

    1. Namespaces and CRDs.
    2. Every sync wave in turn, and in a wave: first everything that runs nothing, then PreSync hooks (without a wave of
       their own: in wave 0), then everything that runs. A hook, and a wave, must be ready before the next begins.
    """
    foundation: list[Item] = []
    buckets: dict[tuple[int, int], list[Item]] = {}
    for item in items:
        if item.is_namespace or item.is_crd:
            foundation.append(item)
            continue
        rank = 1 if item.is_presync else 2 if item.kind in WORKLOADS else 0
        buckets.setdefault((item.wave, rank), []).append(item)
    steps = [Step(foundation, settle=True)] if foundation else []
    keys = sorted(buckets)
    for position, (wave, rank) in enumerate(keys):
        last_of_wave = position + 1 == len(keys) or keys[position + 1][0] != wave
        steps.append(Step(buckets[wave, rank], settle=rank == 1 or last_of_wave))
    return steps
