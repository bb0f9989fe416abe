"""The panels of the dashboards that are shipped, and what they ask."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.dashboards.kit import EMPTY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Panel:
    """One panel; `may_be_empty` is the reason why it may show nothing, or nothing."""

    dashboard: str
    row: str
    title: str
    kind: str
    unit: str
    source: str
    may_be_empty: str
    queries: tuple[tuple[str, str], ...]
    """Expressions, with Grafana's variables filled in, and legends."""


def fill(expression: str, variables: dict[str, str], interval: str) -> str:
    """Put values where Grafana would: all choices of a variable, `interval` for its intervals."""
    for name, value in variables.items():
        expression = expression.replace(f"${name}", value)
    return re.sub(r"\$__(rate_interval|interval|auto|range)\b", interval, expression)


def panels(path: Path, interval: str = "5m") -> Iterator[Panel]:
    """All panels of a dashboard's file that ask something."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    variables = {variable["name"]: variable["allValue"] for variable in content.get("templating", {}).get("list", [])}
    row = ""
    for panel in flat(content):
        if panel["type"] == "row":
            row = panel["title"]
            continue
        _, _, reason = panel.get("description", "").partition(EMPTY)
        yield Panel(
            dashboard=content["title"],
            row=row,
            title=panel["title"],
            kind=panel["type"],
            unit=panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "short"),
            source=panel["datasource"]["uid"],
            may_be_empty=reason,
            queries=tuple(
                (fill(ask["expr"], variables, interval), ask.get("legendFormat", "")) for ask in panel["targets"]
            ),
        )


def flat(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All panels of a dashboard, rows among them; a row that is folded holds its own."""
    for panel in content["panels"]:
        yield panel
        yield from panel.get("panels") or []
