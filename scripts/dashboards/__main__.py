"""Write all dashboards as JSON: `python -m scripts.dashboards [FOLDER]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from scripts.dashboards import blog, platform

FOLDER = Path(__file__).resolve().parents[2] / "roles" / "grafana" / "files" / "dashboards"
DASHBOARDS = {
    "golden-signals": blog.golden_signals,
    "slo": blog.objectives,
    "postgresql": blog.postgresql,
    "redis": blog.redis,
    "kubernetes": platform.kubernetes,
    "mesh": platform.mesh,
    "gitops": platform.gitops,
    "logs": platform.logs,
}


def generate() -> dict[str, str]:
    """Every dashboard's file name and content."""
    return {
        f"{name}.json": json.dumps(make().build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for name, make in DASHBOARDS.items()
    }


def main() -> None:
    """Write them; remove those that are no more."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    wanted = generate()
    for path in folder.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, content in wanted.items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
