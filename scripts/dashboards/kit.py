"""What all dashboards are made of: one way to draw a graph, a number, a list of lines."""

from __future__ import annotations

from itertools import count
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from grafana_foundation_sdk.builders import common, dashboard, logs, loki, prometheus, stat, timeseries
from grafana_foundation_sdk.models.common import BigValueColorMode, LegendPlacement, LogsSortOrder, StackingMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableOption,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

PROMETHEUS = DataSourceRef("prometheus", "prometheus")
LOKI = DataSourceRef("loki", "loki")

EMPTY = "May be empty: "
"""Begins the sentence in a panel's description that says why it may show nothing; the tests read it."""

Query = tuple[str, str]
"""An expression and the legend of its series."""


def _description(text: str, may_be_empty: str) -> str:
    return " ".join(part for part in (text, EMPTY + may_be_empty if may_be_empty else "") if part)


def _query(expression: str, legend: str, letter: str = "A") -> prometheus.Dataquery:
    return prometheus.Dataquery().ref_id(letter).expr(expression).legend_format(legend).range()


def _log_query(expression: str, letter: str = "A") -> loki.Dataquery:
    return loki.Dataquery().ref_id(letter).expr(expression).query_type("range")


def graph(
    title: str,
    unit: str,
    *queries: Query,
    text: str = "",
    may_be_empty: str = "",
    width: int = 12,
    stacked: bool = False,
    logs_of: str = "",
) -> timeseries.Panel:
    """Draw lines over time; `logs_of` is the stream selector whose lines a click on the graph leads to."""
    panel = (
        timeseries.Panel()
        .title(title)
        .datasource(PROMETHEUS)
        .unit(unit)
        .min(0)
        .span(width)
        .height(8)
        .fill_opacity(25 if stacked else 8)
        .legend(common.VizLegendOptions().show_legend(True).placement(LegendPlacement.BOTTOM))
    )
    if description := _description(text, may_be_empty):
        panel.description(description)
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    if logs_of:
        panel.data_links([dashboard.DashboardLink("Lines of these minutes").url(explore(logs_of)).target_blank(True)])
    for letter, (expression, legend) in zip(ascii_uppercase, queries, strict=False):
        panel.with_target(_query(expression, legend, letter))
    return panel


def number(
    title: str,
    unit: str,
    expression: str,
    *,
    text: str = "",
    may_be_empty: str = "",
    width: int = 4,
    limits: Sequence[tuple[float | None, str]] = (),
) -> stat.Panel:
    """Show the latest value, coloured from each limit on."""
    panel = stat.Panel().title(title).datasource(PROMETHEUS).unit(unit).span(width).height(4)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.with_target(_query(expression, ""))
    if description := _description(text, may_be_empty):
        panel.description(description)
    if limits:
        steps = [Threshold(value, color) for value, color in limits]
        panel.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
        panel.color_mode(BigValueColorMode.BACKGROUND)
    return panel


def lines(title: str, expression: str, *, text: str = "", may_be_empty: str = "", height: int = 12) -> logs.Panel:
    """List lines of the logs."""
    panel = logs.Panel().title(title).datasource(LOKI).span(24).height(height)
    panel.show_time(True).wrap_log_message(True).enable_log_details(True).sort_order(LogsSortOrder.DESCENDING)
    panel.with_target(_log_query(expression).max_lines(200))
    if description := _description(text, may_be_empty):
        panel.description(description)
    return panel


def log_graph(title: str, unit: str, *queries: Query, may_be_empty: str = "", width: int = 12) -> timeseries.Panel:
    """Draw what is counted in logs."""
    panel = timeseries.Panel().title(title).datasource(LOKI).unit(unit).min(0).span(width).height(8).fill_opacity(25)
    if may_be_empty:
        panel.description(EMPTY + may_be_empty)
    for letter, (expression, legend) in zip(ascii_uppercase, queries, strict=False):
        panel.with_target(_log_query(expression, letter).legend_format(legend))
    return panel


def explore(selector: str) -> str:
    """The address, inside Grafana, of a stream's lines within the time that is looked at."""
    query = selector.replace("\\", "\\\\").replace('"', '\\"')
    panes = f'{{"a":{{"datasource":"loki","queries":[{{"refId":"A","expr":"{query}"}}],'
    return f'/explore?schemaVersion=1&panes={panes}"range":{{"from":"${{__from}}","to":"${{__to}}"}}}}}}'


def choice(name: str, label: str, values: Sequence[str], everything: str) -> dashboard.CustomVariable:
    """Let people choose some of `values`, or all, which is the pattern `everything`."""
    return (
        dashboard.CustomVariable(name)
        .label(label)
        .values(",".join(values))
        .multi(True)
        .include_all(True)
        .all_value(everything)
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


def page(uid: str, title: str, text: str, rows: dict[str, list[Any]], *variables: Any) -> dashboard.Dashboard:
    """Put together a dashboard of rows of panels."""
    result = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(text)
        .tags(["titanium"])
        .readonly()
        .timezone("browser")
        .time("now-1h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("Titanium").type(DashboardLinkType.DASHBOARDS).tags(["titanium"]).as_dropdown(True)
        )
    )
    for variable in variables:
        result.with_variable(variable)
    numbers = count(1)
    for row, panels in rows.items():
        result.with_row(dashboard.Row(row).id(next(numbers)))
        for panel in panels:
            result.with_panel(panel.id(next(numbers)))
    return result
