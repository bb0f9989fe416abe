"""What belongs to a component: the ApplySet convention (KEP-3659), with a Secret as parent.

The parent names the kinds and namespaces of its members, every member carries the parent's id as a label. That is
enough to find, from the cluster alone, everything that a component ever made.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .diff import PART_OF
from .errors import ApplyError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .client import Client, Resource

ID = "applyset.kubernetes.io/id"
TOOLING = "applyset.kubernetes.io/tooling"
GROUP_KINDS = "applyset.kubernetes.io/contains-group-kinds"
NAMESPACES = "applyset.kubernetes.io/additional-namespaces"
TOOL = "titanium"
TOOLING_VERSION = f"{TOOL}/v1.0.0"  # the version of this record, not of the collection

__all__ = ["ID", "PART_OF", "ApplySet", "GroupKind", "Members"]


@dataclass(frozen=True, order=True)
class GroupKind:
    """A kind in any of its versions; its text form is ``Deployment.apps`` or ``ConfigMap``."""

    group: str
    kind: str

    @classmethod
    def parse(cls, text: str) -> GroupKind:
        kind, _, group = text.partition(".")
        return cls(group, kind)

    def __str__(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind


@dataclass(frozen=True)
class Members:
    """Which kinds in which namespaces (other than the parent's) may hold members."""

    group_kinds: frozenset[GroupKind] = frozenset()
    namespaces: frozenset[str] = frozenset()

    def __or__(self, other: Members) -> Members:
        return Members(self.group_kinds | other.group_kinds, self.namespaces | other.namespaces)


class ApplySet:
    """A component's parent object.

    Parameters:
        client: the API server.
        secrets: where Secrets live.
        name: the component.
        namespace: the parent's namespace.
    """

    def __init__(self, client: Client, secrets: Resource, name: str, namespace: str) -> None:
        self._client = client
        self._secrets = secrets
        self.component = name
        self.namespace = namespace
        self.parent = parent_name(name)
        self.id = applyset_id(self.parent, namespace)
        self.exists = False
        self.recorded = Members()

    def load(self) -> None:
        """Read the parent; raise ApplyError if a Secret of that name is not this component's."""
        secret = self._client.get(self._secrets, self.namespace, self.parent)
        self.exists = secret is not None
        if secret is None:
            return
        metadata = secret["metadata"]
        annotations = metadata.get("annotations") or {}
        where = f"Secret {self.namespace}/{self.parent}"
        if (metadata.get("labels") or {}).get(ID) != self.id:
            raise ApplyError(
                f"{where} exists and is not the record of the component {self.component}\nRename one of the two."
            )
        tool = str(annotations.get(TOOLING, "")).partition("/")[0]
        if tool != TOOL:
            raise ApplyError(
                f"{where} belongs to the tool {tool or 'of an unknown name'}\nLet that tool delete its ApplySet, or choose another name."
            )
        self.recorded = Members(
            frozenset(GroupKind.parse(text) for text in _split(annotations.get(GROUP_KINDS))),
            frozenset(_split(annotations.get(NAMESPACES))),
        )

    def record(self, members: Members) -> None:
        """Write down where members may be; nothing is sent if that is known already."""
        members = Members(members.group_kinds, members.namespaces - {self.namespace, ""})
        if self.exists and members == self.recorded:
            return
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "applyset.kubernetes.io/parent",
            "metadata": {
                "name": self.parent,
                "namespace": self.namespace,
                "labels": {ID: self.id},
                "annotations": {
                    TOOLING: TOOLING_VERSION,
                    GROUP_KINDS: ",".join(sorted(map(str, members.group_kinds))),
                    NAMESPACES: ",".join(sorted(members.namespaces)),
                },
            },
        }
        # The parent is nobody else's: whoever wrote into it is overruled.
        self._client.apply(self._secrets, body, manager=TOOL, force=True)
        self.exists = True
        self.recorded = members

    def forget(self) -> None:
        """Delete the parent."""
        self._client.delete(self._secrets, self.namespace, self.parent)
        self.exists = False


def parent_name(component: str) -> str:
    """Return the name of a component's parent Secret; apart from Secrets that are named like the component."""
    return f"applyset-{component}"


def applyset_id(parent: str, namespace: str) -> str:
    """Return the id that KEP-3659 prescribes for a Secret as parent."""
    digest = hashlib.sha256(f"{parent}.{namespace}.Secret.".encode()).digest()
    return f"applyset-{base64.urlsafe_b64encode(digest).decode().rstrip('=')}-v1"


def members_of(refs: Iterable[tuple[str, str, str]]) -> Members:
    """Return the members' kinds and namespaces of (group, kind, namespace)."""
    refs = list(refs)
    return Members(
        frozenset(GroupKind(group, kind) for group, kind, _ in refs), frozenset(ns for _, _, ns in refs if ns)
    )


def _split(text: str | None) -> list[str]:
    return [part for part in (text or "").split(",") if part]
