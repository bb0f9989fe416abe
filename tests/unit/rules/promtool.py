"""promtool, and the rule files it is given."""

from __future__ import annotations

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


def run_tests(folder: Path, file: str, tests: list[dict[str, Any]]) -> tuple[int, str]:
    """Run promtool's tests of the rule file called `file`, with files of its own in `folder`."""
    path = folder / "test.yaml"
    content = {
        "rule_files": [str(FOLDER / f"{file}.yaml")],
        "evaluation_interval": f"{STEP}s",
        "tests": [{"interval": f"{STEP}s", **test} for test in tests],
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return promtool("test", "rules", str(path))


def firing(alert: str, minutes: float, count: int, **labels: str) -> dict[str, Any]:
    """The expectation that so many alerts of a name fire after so many minutes."""
    matchers = "".join(f', {name}="{value}"' for name, value in labels.items())
    return {
        "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"{matchers}}}) or vector(0)',
        "eval_time": f"{round(minutes * 60)}s",
        "exp_samples": [{"labels": "{}", "value": count}],
    }
