"""What changes in an object, as a person wants to read it, with secrets kept out."""

from __future__ import annotations

import copy
from typing import Any

import yaml

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
PART_OF = "applyset.kubernetes.io/part-of"

# What the server writes by itself: no one asked for it and no one can keep it.
_SERVERS_OWN = (
    "managedFields",
    "resourceVersion",
    "generation",
    "uid",
    "creationTimestamp",
    "selfLink",
    "deletionTimestamp",
)
# Fields by which the server, or failing that a person, tells the entries of a list apart; the first that fits is used.
_KEYS = ("name", "mountPath", "containerPort", "port", "key", "ip", "topologyKey", "type", "kind")
_ABSENT = object()
_Pair = tuple[Any, Any]


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Text of several lines as a block, so that a diff can show the line that differs."""


def _text(dumper: Any, value: str) -> Any:
    style = "|" if "\n" in value and not any(line != line.rstrip() for line in value.split("\n")) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def dump(value: Any) -> str:
    """Return YAML, or nothing for nothing."""
    if value in (None, {}):
        return ""
    return str(
        yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=4096, allow_unicode=True)
    )


def content(body: dict[str, Any] | None) -> dict[str, Any]:
    """Return the part of an object that someone asked for: no status, nothing the server writes by itself."""
    if body is None:
        return {}
    kept = {key: value for key, value in body.items() if key != "status"}
    metadata = {key: value for key, value in body.get("metadata", {}).items() if key not in _SERVERS_OWN}
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != LAST_APPLIED}
    if "annotations" in metadata:
        metadata["annotations"] = annotations
        if not annotations:
            del metadata["annotations"]
    kept["metadata"] = metadata
    return kept


def mask(before: dict[str, Any], after: dict[str, Any]) -> _Pair:
    """Return two versions of a Secret in which values are words: no value, length or hash can be read from them."""
    before, after = copy.deepcopy(before), copy.deepcopy(after)
    for side in (before, after):
        # stringData becomes data on the server: show both as one, so that keys can be compared.
        strings = side.pop("stringData", None) or {}
        if strings or side.get("data"):
            side["data"] = {**(side.get("data") or {}), **dict.fromkeys(strings, _ABSENT)}
    old, new = before.get("data") or {}, after.get("data") or {}
    for key in {**old, **new}:
        same = key in old and key in new and old[key] == new[key] and old[key] is not _ABSENT
        if key in old:
            old[key] = "<secret>" if same or key not in new else "<secret, before>"
        if key in new:
            new[key] = "<secret>" if same or key not in old else "<secret, changed>"
    return before, after


def changes(before: Any, after: Any) -> _Pair:
    """Return of two values only what differs, in the same structure; ``({}, {})`` if nothing does."""
    if isinstance(before, dict) and isinstance(after, dict):
        left: dict[Any, Any] = {}
        right: dict[Any, Any] = {}
        for key in {**before, **after}:
            old, new = before.get(key, _ABSENT), after.get(key, _ABSENT)
            if old is not _ABSENT and new is not _ABSENT:
                if old == new:
                    continue
                old, new = changes(old, new)
            if old is not _ABSENT:
                left[key] = old
            if new is not _ABSENT:
                right[key] = new
        return left, right
    if isinstance(before, list) and isinstance(after, list):
        key = _list_key(before, after)
        if key:
            return _list_changes(key, before, after)
    return before, after


def _list_key(before: list[Any], after: list[Any]) -> str | None:
    for key in _KEYS:
        if all(_identifies(key, side) for side in (before, after)):
            return key
    return None


def _identifies(key: str, entries: list[Any]) -> bool:
    if not all(isinstance(entry, dict) and isinstance(entry.get(key), str | int) for entry in entries):
        return False
    return len({entry[key] for entry in entries}) == len(entries)


def _list_changes(key: str, before: list[Any], after: list[Any]) -> _Pair:
    old = {entry[key]: entry for entry in before}
    new = {entry[key]: entry for entry in after}
    if old == new:
        return before, after  # only the order differs, which may matter
    left, right = [], []
    for name in {**old, **new}:
        if name not in new:
            left.append(old[name])
        elif name not in old:
            right.append(new[name])
        elif old[name] != new[name]:
            one, other = changes(old[name], new[name])
            left.append({key: name, **one})
            right.append({key: name, **other})
    return left, right


def overlay(live: Any, declared: Any) -> Any:
    """Return ``live`` with what is declared put over it: close to what applying would give, where the server cannot tell."""
    if isinstance(live, dict) and isinstance(declared, dict):
        return {**live, **{key: overlay(live[key], value) if key in live else value for key, value in declared.items()}}
    if isinstance(live, list) and isinstance(declared, list):
        key = _list_key(live, declared)
        if key:
            known = {entry[key]: entry for entry in live}
            return [overlay(known[entry[key]], entry) if entry[key] in known else entry for entry in declared]
    return declared


def render(title: str, before: dict[str, Any] | None, after: dict[str, Any] | None, *, secret: bool) -> dict[str, str]:
    """Return one entry of Ansible's ``diff``.

    Parameters:
        title: the object, for the headers.
        before: the live object, or None if there is none.
        after: what it becomes, or None if it is deleted.
        secret: whether the values of ``data`` and ``stringData`` must not be shown.
    """
    old, new = content(before), content(after)
    if secret:
        old, new = mask(old, new)
    for side in (old, new):
        if before is None or after is None:
            labels = side.get("metadata", {}).get("labels")
            if labels:
                side["metadata"]["labels"] = {key: value for key, value in labels.items() if key != PART_OF}
                if not side["metadata"]["labels"]:
                    del side["metadata"]["labels"]
    if before is None:
        return {"before_header": f"{title} (absent)", "after_header": title, "before": "", "after": dump(new)}
    if after is None:
        # All that is lost matters less than that it is: its identity, not its defaults.
        gone: dict[str, Any] = {key: old[key] for key in ("apiVersion", "kind") if key in old}
        gone["metadata"] = {key: old["metadata"][key] for key in ("name", "namespace") if key in old["metadata"]}
        return {"before_header": title, "after_header": f"{title} (absent)", "before": dump(gone), "after": ""}
    left, right = changes(old, new)
    return {"before_header": f"{title} (live)", "after_header": title, "before": dump(left), "after": dump(right)}
