"""An exception of the scan has a reason and an end."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from .repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = ROOT / "scripts/ci/trivy_ignores.py"
TODAY = dt.datetime.now(dt.UTC).date()


def run(file: Path) -> tuple[int, str]:
    """Run the script."""
    process = subprocess.run([sys.executable, SCRIPT, file], capture_output=True, text=True, check=False)
    return process.returncode, process.stdout + process.stderr


def entry(days: int, statement: str = "The services never parse that format") -> str:
    """An ignore file with one entry."""
    expiry = TODAY + dt.timedelta(days=days)
    return f"vulnerabilities:\n  - id: CVE-2030-0001\n    statement: {statement}\n    expired_at: {expiry}\n"


def test_ours_is_good() -> None:
    assert run(ROOT / ".trivyignore.yaml") == (0, "")


def test_a_reason_and_an_end_are_enough(tmp_path: Path) -> None:
    file = tmp_path / "ignore.yaml"
    file.write_text(entry(90))
    assert run(file) == (0, "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (entry(0), "expired on"),
        (entry(-1), "expired on"),
        (entry(91), "more than 90 days"),
        (entry(10, "because"), "statement"),
        ("vulnerabilities:\n  - id: CVE-2030-0001\n    statement: A reason that is long enough\n", "expired_at"),
        (entry(10).replace("statement", "reason"), "unknown: reason"),
        ("vulnerabilities:\n  - CVE-2030-0001\n", "no mapping with an id"),
        ("- CVE-2030-0001\n", "must be a mapping"),
        (entry(10).replace("vulnerabilities", "vulnerabilites"), "must be a mapping"),
    ],
)
def test_refused(text: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "ignore.yaml"
    file.write_text(text)
    status, said = run(file)
    assert status == 1
    assert why in said
