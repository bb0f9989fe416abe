"""Every alert fires when it should, is silent when it should, and says what to do; by Prometheus' own test tool."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.unit.rules.cases import CASES
from tests.unit.rules.promtool import FILES, ROOT, alerts, firing, promtool, rules, run_tests

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.rules.timelines import Case

RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTS = alerts()
NAMES = sorted({name.split("/")[1] for name in ALERTS})
# Tested in test_burn.py; and the one that always fires.
ELSEWHERE = {"slo/AvailabilityBudgetBurn", "slo/LatencyBudgetBurn", "monitoring/Watchdog"}
TESTED = [path for path in FILES if path.stem != "slo"]


def test_promtool_takes_all_files() -> None:
    status, output = promtool("check", "rules", *map(str, FILES))
    assert status == 0, output


def test_every_alert_has_a_case() -> None:
    assert set(CASES) == set(ALERTS) - ELSEWHERE
    assert [name for name, cases in CASES.items() if not any(case.alerts for case in cases)] == []


def of(path: Path) -> list[tuple[str, Case]]:
    """The names of a file's alerts, with their cases."""
    return [
        (name.partition("/")[2], case)
        for name, cases in CASES.items()
        for case in cases
        if name.partition("/")[0] == path.stem
    ]


# All cases of a file in one run of promtool: what fails names its alert.
@pytest.mark.parametrize("path", TESTED, ids=lambda path: path.stem)
def test_alerts(path: Path, tmp_path: Path) -> None:
    """Silent while all is well, firing while it is not, silent soon after."""
    tests = defaultdict(list)
    for alert, case in of(path):
        well, ill, again = case.minutes
        expected = [
            firing(alert, well - 1, 0),
            firing(alert, well + ill - 1, case.alerts),
            firing(alert, well + ill + again - 1, 0),
        ]
        tests[alert].append({"input_series": case.input_series(), "promql_expr_test": expected})
    status, output = run_tests(tmp_path, path.stem, tests)
    assert status == 0, output


@pytest.mark.parametrize("path", TESTED, ids=lambda path: path.stem)
def test_texts(path: Path, tmp_path: Path) -> None:
    """What somebody reads at night has no gap: promtool prints the alerts where none were expected."""
    tests = defaultdict(list)
    for alert, case in of(path):
        if case.alerts:
            expected = [{"alertname": alert, "eval_time": f"{sum(case.minutes[:2]) - 1}m", "exp_alerts": []}]
            tests[alert].append({"input_series": case.input_series(), "alert_rule_test": expected})
    status, output = run_tests(tmp_path, path.stem, tests)
    texts = re.findall(r'(?:description|summary)="((?:[^"\\]|\\.)*)"', output)
    assert status != 0, output
    assert len(texts) == 2 * sum(case.alerts for _, case in of(path)), output
    for text in texts:
        assert not re.search(r"<error|<no value>|%!|  | [,.:;]|\(\)|NaN|//", text), text


def test_watchdog_always_fires(tmp_path: Path) -> None:
    expected = [firing("Watchdog", minutes, 1) for minutes in (0, 1, 1000)]
    status, output = run_tests(
        tmp_path, "monitoring", {"Watchdog": [{"input_series": [], "promql_expr_test": expected}]}
    )
    assert status == 0, output


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_alerts_are_complete(path: Path) -> None:
    base = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["repository"] + "/blob/main/docs/runbooks/"
    for rule in (rule for rule in rules(path) if "alert" in rule):
        name = rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning", "none"}, name
        assert rule["labels"]["component"], name
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}, name
        assert "$value" in rule["annotations"]["description"], name
        assert rule["annotations"]["runbook_url"] == f"{base}{name}.md"


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert sorted(path.stem for path in RUNBOOKS.glob("*.md")) == NAMES


@pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_runbook(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^#+ .*$", text, re.MULTILINE) == [
        f"# {path.stem}",
        "## What it means",
        "## How to check",
        "## How to mend",
    ]
    lines = text.splitlines()
    fences = [index for index, line in enumerate(lines) if line.startswith("```")]
    assert len(fences) >= 2, "no command to check with"
    assert len(fences) % 2 == 0, "a code fence is not closed"
    for opening, closing in zip(fences[::2], fences[1::2], strict=True):
        assert lines[opening - 1] == "", f"line {opening}: no blank line before the fence"
        assert lines[closing + 1] == "", f"line {closing + 2}: no blank line after the fence"
        assert closing > opening + 1, f"line {opening + 1}: nothing between the fences"
    for link in re.findall(r"\]\((\w+\.md)\)", text):
        assert (RUNBOOKS / link).is_file(), link
