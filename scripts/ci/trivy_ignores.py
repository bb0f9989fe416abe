#!/usr/bin/env python3
"""Check that every exception of the vulnerability scan has a reason and an end.

usage: trivy_ignores.py [FILE]    FILE is .trivyignore.yaml without

An entry needs `statement`, a sentence that says why it does not hurt here, and `expired_at`, a day in the future and no more
than 90 days away: then somebody looks again. Trivy itself would take an entry without either for good.
"""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
LONGEST = dt.timedelta(days=90)
SECTIONS = {"vulnerabilities", "misconfigurations", "secrets", "licenses"}
KEYS = {"id", "paths", "purls", "statement", "expired_at"}


def judge(entry: Any, today: dt.date) -> list[str]:
    """Return what is wrong with an entry."""
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
        return ["is no mapping with an id"]
    found = []
    if unknown := entry.keys() - KEYS:
        found.append(f"unknown: {', '.join(sorted(map(str, unknown)))}")
    statement = entry.get("statement")
    if not isinstance(statement, str) or len(statement.split()) < 4:
        found.append("statement must say in a sentence why it does not hurt here")
    expiry = entry.get("expired_at")
    if isinstance(expiry, dt.datetime):
        expiry = expiry.date()
    if not isinstance(expiry, dt.date):
        found.append("expired_at must be a day, such as 2030-01-31")
    elif expiry <= today:
        found.append(f"expired on {expiry}: mend it, or look again and say why not")
    elif expiry > today + LONGEST:
        found.append(f"expired_at is more than {LONGEST.days} days away")
    return found


def problems(content: Any, today: dt.date) -> list[str]:
    """Return what is wrong with an ignore file."""
    if content is None:
        return []
    if not isinstance(content, dict) or content.keys() - SECTIONS:
        return [f"the file must be a mapping of {', '.join(sorted(SECTIONS))}"]
    return [
        f"{section}: {entry.get('id') if isinstance(entry, dict) else entry}: {text}"
        for section, entries in content.items()
        for entry in entries or []
        for text in judge(entry, today)
    ]


def main() -> int:
    """Run what the command line says."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".trivyignore.yaml"
    found = problems(yaml.safe_load(file.read_text(encoding="utf-8")), dt.datetime.now(dt.UTC).date())
    for text in found:
        print(f"{file.name}: {text}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
