"""The dashboards that are shipped are those that the Python code makes, and every query of theirs can be read."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from scripts.dashboards.__main__ import DASHBOARDS, FOLDER, generate
from scripts.dashboards.panels import flat, panels
from tests.unit.rules.promtool import FILES, promtool, rules

if TYPE_CHECKING:
    from pathlib import Path

PATHS = [FOLDER / f"{name}.json" for name in DASHBOARDS]


def content(path: Path) -> dict[str, Any]:
    """A dashboard's file."""
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def test_generated_files_are_committed() -> None:
    shipped = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    different = [name for name, text in generate().items() if shipped.get(name) != text]
    assert different == [], "write them anew: .venv-dev/bin/python -m scripts.dashboards"
    assert set(shipped) == set(generate())


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_panels(path: Path) -> None:
    found = list(panels(path))
    assert len(found) >= 7
    titles = [(panel.row, panel.title) for panel in found]
    assert len(titles) == len(set(titles)), "two panels of one name"
    for panel in found:
        assert panel.source in {"prometheus", "loki"}, panel.title
        for expression, _ in panel.queries:
            assert "$" not in expression, f"{panel.title}: a variable that nobody fills in: {expression}"


def test_names_are_unique() -> None:
    every = [content(path) for path in PATHS]
    assert len({dashboard["uid"] for dashboard in every}) == len(every)
    assert len({dashboard["title"] for dashboard in every}) == len(every)
    for dashboard in every:
        numbers = [panel["id"] for panel in flat(dashboard)]
        assert len(numbers) == len(set(numbers)), dashboard["title"]
        assert dashboard["editable"] is False


def test_prometheus_can_read_every_query(tmp_path: Path) -> None:
    expressions = [
        query for path in PATHS for panel in panels(path) if panel.source == "prometheus" for query, _ in panel.queries
    ]
    recorded = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(expressions)]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}), encoding="utf-8")
    status, output = promtool("check", "rules", str(file))
    assert status == 0, output


def test_recorded_series_exist() -> None:
    """A dashboard reads no recorded series that no rule records."""
    recorded = {rule["record"] for path in FILES for rule in rules(path) if "record" in rule}
    read = {
        name
        for path in PATHS
        for panel in panels(path)
        for query, _ in panel.queries
        for name in re.findall(r"\b[a-z]+:[a-z_]+:[a-z0-9]+\b", query)
    }
    assert read
    assert read <= recorded


def test_a_failing_request_leads_to_its_lines() -> None:
    """From the graphs of failures one gets to Loki, with the same time and the same service."""
    dashboard = content(FOLDER / "golden-signals.json")
    linked = {
        panel["title"]: panel["fieldConfig"]["defaults"]["links"][0]["url"]
        for panel in flat(dashboard)
        if panel.get("fieldConfig", {}).get("defaults", {}).get("links")
    }
    assert {"Failures (5xx) by route", "P99 by service"} <= set(linked)
    for url in linked.values():
        panes = json.loads(url.partition("panes=")[2])
        assert panes["a"]["datasource"] == "loki"
        assert panes["a"]["range"] == {"from": "${__from}", "to": "${__to}"}
        assert "$service" in panes["a"]["queries"][0]["expr"]
