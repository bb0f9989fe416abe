"""Pictures of all dashboards from the running Prometheus and Loki: `python -m scripts.dashboards.render [FOLDER]`."""

from __future__ import annotations

import math
import os
import re
import sys
from datetime import UTC, datetime
from html import escape
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.dates import ConciseDateFormatter
from matplotlib.ticker import FuncFormatter

from scripts.dashboards.__main__ import FOLDER
from scripts.dashboards.live import PROMETHEUS, Answer, Live, QueryError, Series
from scripts.dashboards.panels import Panel, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OUTPUT = Path(__file__).resolve().parents[2] / "build" / "dashboards"
COLUMNS = 3
SHOWN = 12
"""So many series, the largest, are drawn; Grafana lets one scroll, a picture does not."""
LEGEND_COLUMNS = 2
LEGEND_ROW = 0.07
"""A row's height as a share of the axis."""


def humanize(value: float, unit: str) -> str:
    """A number as Grafana would show it."""
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit in {"bytes", "Bps"}:
        power = min(4, int(math.log(max(abs(value), 1), 1024)))
        return f"{value / 1024**power:.3g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}" + ("/s" if unit == "Bps" else "")
    if unit == "s" and abs(value) >= 3600:
        return f"{value / 86400:.3g} d" if abs(value) >= 2 * 86400 else f"{value / 3600:.3g} h"
    if unit == "s" and 0 < abs(value) < 1:
        return f"{value * 1000:.3g} ms"
    return f"{value:.3g} " + {"s": "s", "ms": "ms", "reqps": "/s", "ops": "/s"}.get(unit, "")


def legend(template: str, series: Series) -> str:
    """The name of a series."""
    filled = re.sub(r"{{\s*(\w+)\s*}}", lambda match: series.labels.get(match[1], ""), template).strip()
    return (
        filled or ", ".join(f"{name}={value}" for name, value in series.labels.items() if name != "__name__") or "value"
    )


def draw(axes: Axes, panel: Panel, live: Live, sources: set[str]) -> str:
    """Draw one panel; return why it is empty, or nothing."""
    axes.set_title(panel.title, fontsize=9, loc="left")
    answers: list[tuple[Answer, str]] = []
    problem = "" if panel.source in sources else f"no {panel.source} here"
    if not problem:
        try:
            answers = [(live.ask(panel.source, expression), name) for expression, name in panel.queries]
        except QueryError as error:
            problem = f"REFUSED: {error}"
    if not problem and not any(answer for answer, _ in answers):
        problem = panel.may_be_empty or "NOTHING, without a reason"
    if problem:
        axes.axis("off")
        axes.text(0.5, 0.5, problem, ha="center", va="center", fontsize=7, wrap=True, color="gray")
        return problem
    if panel.kind == "stat":
        axes.axis("off")
        value = answers[0][0].series[0].samples[-1][1]
        axes.text(0.5, 0.5, humanize(value, panel.unit), ha="center", va="center", fontsize=22)
    elif panel.kind == "logs":
        axes.axis("off")
        text = "\n".join(
            f"{datetime.fromtimestamp(moment, UTC):%H:%M:%S} {line[:110]}" for moment, line in answers[0][0].lines[:12]
        )
        axes.text(0, 1, text.replace("$", r"\$"), ha="left", va="top", fontsize=4.5, family="monospace")
    else:
        found = [(series, legend(name, series)) for answer, name in answers for series in answer.series]
        found.sort(key=lambda item: -max(value for _, value in item[0].samples))
        for series, name in found[:SHOWN]:
            moments = [datetime.fromtimestamp(moment, UTC) for moment, _ in series.samples]
            axes.plot(moments, [value for _, value in series.samples], label=name, linewidth=1)  # type: ignore[arg-type]
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: humanize(value, panel.unit)))
        axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))  # type: ignore[no-untyped-call]
        axes.tick_params(labelsize=6)
        axes.grid(alpha=0.3)
        axes.xaxis.get_offset_text().set_fontsize(6)
        axes.legend(fontsize=5, loc="upper left", ncols=LEGEND_COLUMNS, framealpha=0.6)
        # Room for it above the lines.
        bottom, top = axes.get_ylim()
        axes.set_ylim(bottom, top + (top - bottom) * LEGEND_ROW * math.ceil(len(axes.get_lines()) / LEGEND_COLUMNS))
    return ""


def picture(path: Path, target: Path, live: Live, sources: set[str]) -> tuple[str, list[str]]:
    """Draw a dashboard; return its title, and its panels that show nothing."""
    every = list(panels(path))
    figure, axes = plt.subplots(
        -(-len(every) // COLUMNS), COLUMNS, figsize=(18, 3 * -(-len(every) // COLUMNS)), squeeze=False
    )
    flat = [one for row in axes for one in row]
    empty = []
    for panel, one in zip(every, flat, strict=False):
        if reason := draw(one, panel, live, sources):
            empty.append(f"{panel.title}: {reason}")
    for one in flat[len(every) :]:
        one.axis("off")
    figure.suptitle(f"{every[0].dashboard}, {datetime.now(UTC):%d %B %Y %H:%M} UTC", fontsize=13)
    figure.tight_layout()
    figure.savefig(target)
    plt.close(figure)
    return every[0].dashboard, empty


def main() -> None:
    """Draw all of them, and a page that shows the pictures."""
    mpl.use("svg")
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    output.mkdir(parents=True, exist_ok=True)
    live = Live(prometheus=os.environ.get("PROMETHEUS_URL", PROMETHEUS))
    sources = {"prometheus"} | ({"loki"} if live.has_loki() else set())
    parts = []
    for path in sorted(FOLDER.glob("*.json")):
        title, empty = picture(path, output / f"{path.stem}.svg", live, sources)
        print(f"{title}: {len(empty)} panels show nothing")
        notes = "".join(f"<li>{escape(note)}</li>" for note, _ in groupby(empty))
        parts.append(f'<h2>{escape(title)}</h2><img src="{path.stem}.svg" style="width:100%"><ul>{notes}</ul>')
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Titanium</title>{"".join(parts)}</html>\n'
    (output / "index.html").write_text(page, encoding="utf-8")
    print(f"open {output / 'index.html'}")


if __name__ == "__main__":
    main()
