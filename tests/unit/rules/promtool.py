"""promtool, and the rule files it is given."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.unit.rules.timelines import STEP

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "roles" / "prometheus" / "files" / "rules"
FILES = sorted(FOLDER.glob("*.yaml"))


def rules(path: Path) -> list[dict[str, Any]]:
    """All rules of a file."""
    content: dict[str, list[dict[str, Any]]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [rule for group in content["groups"] for rule in group["rules"]]


def alerts() -> dict[str, list[dict[str, Any]]]:
    """All alerting rules by "file/alert"; several of one name and file differ in their severity."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in FILES:
        for rule in rules(path):
            if "alert" in rule:
                found.setdefault(f"{path.stem}/{rule['alert']}", []).append(rule)
    return found


def promtool(*arguments: str) -> tuple[int, str]:
    """Run promtool; return its status and all it printed."""
    process = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=280, check=False)
    return process.returncode, process.stdout + process.stderr


def needed(file: str, alert: str) -> dict[str, Any]:
    """A file's groups with an alert's rules, and those that record what they ask for, alone: promtool is the faster for it."""
    content: dict[str, Any] = yaml.safe_load((FOLDER / f"{file}.yaml").read_text(encoding="utf-8"))
    everything = [rule for group in content["groups"] for rule in group["rules"]]
    wanted = [rule for rule in everything if rule.get("alert") == alert]
    for rule in wanted:
        asked = set(re.findall(r"[\w:]+", rule["expr"]))
        wanted += [other for other in everything if other.get("record") in asked and other not in wanted]
    groups = [{**group, "rules": [rule for rule in group["rules"] if rule in wanted]} for group in content["groups"]]
    return {"groups": [group for group in groups if group["rules"]]}


def run_tests(folder: Path, file: str, tests: dict[str, list[dict[str, Any]]]) -> tuple[int, str]:
    """Run promtool's tests of alerts of the rule file called `file`, with files of its own in `folder`."""
    paths = []
    for alert, ones in tests.items():
        rule_file = folder / f"{alert}.rules.yaml"
        rule_file.write_text(yaml.safe_dump(needed(file, alert)), encoding="utf-8")
        content = {
            "rule_files": [str(rule_file)],
            "evaluation_interval": f"{STEP}s",
            "tests": [{"interval": f"{STEP}s", **one} for one in ones],
        }
        paths.append(folder / f"{alert}.yaml")
        paths[-1].write_text(yaml.safe_dump(content), encoding="utf-8")
    return promtool("test", "rules", *map(str, paths))


def firing(alert: str, minutes: float, count: int, **labels: str) -> dict[str, Any]:
    """The expectation that so many alerts of a name fire after so many minutes."""
    matchers = "".join(f', {name}="{value}"' for name, value in labels.items())
    return {
        "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"{matchers}}}) or vector(0)',
        "eval_time": f"{round(minutes * 60)}s",
        "exp_samples": [{"labels": "{}", "value": count}],
    }
