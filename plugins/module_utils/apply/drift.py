"""Which objects and which of their fields are not as asked for, read from the module's diff."""

from __future__ import annotations

from typing import Any

import yaml

# How many fields of an object are named; the diff has them all.
MOST = 8
_IDS = ("name", "mountPath", "containerPort", "port", "key")


def _fields(before: Any, after: Any, path: str) -> list[str]:
    """Return the paths of the leaves that differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            field
            for key in sorted({**before, **after}, key=str)
            if before.get(key) != after.get(key)
            for field in _fields(before.get(key), after.get(key), f"{path}.{key}")
        ]
    if isinstance(before, list) and isinstance(after, list):
        old, new = _by_id(before), _by_id(after)
        if old is not None and new is not None:
            return [
                field
                for key in sorted({**old, **new}, key=str)
                if old.get(key) != new.get(key)
                for field in _fields(old.get(key), new.get(key), f"{path}[{key}]")
            ]
    return [path.removeprefix(".")]


def _by_id(entries: list[Any]) -> dict[Any, Any] | None:
    """Return a list's entries by what tells them apart; None if nothing does."""
    for key in _IDS:
        if entries and all(isinstance(entry, dict) and key in entry for entry in entries):
            return {entry[key]: entry for entry in entries}
    return None


def rows(diff: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Return what has drifted: object, what happened to it, and its fields as far as it is still there.

    Parameters:
        diff: what k8s_apply returns in check mode: `before` is the live object, `after` is what was asked for.
    """
    found: list[dict[str, Any]] = []
    for entry in diff:
        if entry["before_header"].endswith(" (absent)"):
            found.append({"object": entry["after_header"], "change": "missing", "fields": []})
        elif entry["after_header"].endswith(" (absent)"):
            found.append({"object": entry["before_header"], "change": "not wanted", "fields": []})
        else:
            before, after = yaml.safe_load(entry["before"]) or {}, yaml.safe_load(entry["after"]) or {}
            names = _fields(before, after, "")
            more = [f"and {len(names) - MOST} more"] if len(names) > MOST else []
            found.append({"object": entry["after_header"], "change": "changed", "fields": names[:MOST] + more})
    return found
