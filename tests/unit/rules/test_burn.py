"""Burning budgets: who is woken, when, and when not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.rules.promtool import firing, run_tests

if TYPE_CHECKING:
    from pathlib import Path

# What stands for each journey: job, method, route.
JOURNEYS = {
    "read": ("api-gateway", "GET", "/blog/*"),
    "account": ("api-gateway", "POST", "/api/login"),
    "write": ("api-gateway", "POST", "/blog/api/*"),
    "comment": ("blog-service", "POST", "/blog/api/posts/{post_id}/comments"),
    "search": ("blog-service", "GET", "/blog/api/posts?q"),
}
BOTH = ["AvailabilityBudgetBurn", "LatencyBudgetBurn"]
PER_SAMPLE = 30
"""Requests between two samples: one a second."""


def series(alert: str, journey: str, shares: list[tuple[int, float]]) -> list[dict[str, str]]:
    """Requests of one journey. `shares`: for so many minutes, such a share is failed or slow."""
    job, method, route = JOURNEYS[journey]
    good: list[str] = []
    bad: list[str] = []
    total: list[str] = []
    sums = [0.0, 0.0, 0.0]
    for minutes, share in shares:
        steps = (PER_SAMPLE * (1 - share), PER_SAMPLE * share, PER_SAMPLE)
        for index, (values, step) in enumerate(zip((good, bad, total), steps, strict=True)):
            values.append(f"{sums[index]:g}+{step:g}x{minutes * 2 - 1}")
            sums[index] += step * minutes * 2
    labels = f'job="{job}", method="{method}", route="{route}"'
    names: tuple[tuple[str, list[str]], ...] = (
        (f'http_requests_total{{{labels}, status="200"}}', good),
        (f'http_requests_total{{{labels}, status="500"}}', bad),
    )
    if alert == "LatencyBudgetBurn":
        names = (
            (f'http_request_duration_seconds_bucket{{{labels}, le="0.5"}}', good),
            (f"http_request_duration_seconds_count{{{labels}}}", total),
            (f'http_requests_total{{{labels}, status="200"}}', total),
        )
    return [{"series": name, "values": " ".join(values)} for name, values in names]


def check(
    tmp_path: Path,
    input_series: list[dict[str, str]],
    expected: list[dict[str, Any]],
    alert: str = "AvailabilityBudgetBurn",
) -> None:
    tests = {alert: [{"input_series": input_series, "promql_expr_test": expected}]}
    status, output = run_tests(tmp_path, "slo", tests)
    assert status == 0, output


@pytest.mark.parametrize("alert", BOTH)
def test_fires_on_a_fast_burn_and_resolves(alert: str, tmp_path: Path) -> None:
    """All journeys are ill from minute 60 to 115: nine tenths of their requests."""
    lines = [line for journey in JOURNEYS for line in series(alert, journey, [(60, 0), (55, 0.9), (30, 0)])]
    check(
        tmp_path,
        lines,
        [
            firing(alert, 59, 0),
            *(firing(alert, 114, 1, severity="critical", window="1h", journey=journey) for journey in JOURNEYS),
            # The short window ends it, long before the long one forgets.
            firing(alert, 122, 0, window="1h"),
        ],
        alert,
    )


def test_an_outage_is_told_within_four_minutes(tmp_path: Path) -> None:
    shares = [(60, 0.0), (30, 1.0)]
    expected = [
        firing("AvailabilityBudgetBurn", 64, 1, severity="critical", window="1h"),
        # Who is woken for one journey is not told that another one is ill.
        firing("AvailabilityBudgetBurn", 89, 1, window="1h"),
    ]
    check(tmp_path, series("AvailabilityBudgetBurn", "read", shares), expected)


@pytest.mark.parametrize("alert", BOTH)
def test_a_short_spike_wakes_nobody(alert: str, tmp_path: Path) -> None:
    """A minute in which a tenth fails or is slow: 0.17 % of the hour."""
    samples = [firing(alert, minute, 0, severity="critical") for minute in range(58, 130, 2)]
    lines = series(alert, "read", [(60, 0), (1, 0.1), (70, 0)])
    check(tmp_path, lines, samples, alert)


def test_a_slow_burn_is_a_warning(tmp_path: Path) -> None:
    """0.5 % for hours: five times as fast as it may, so that the budget lasts six days."""
    check(
        tmp_path,
        series("AvailabilityBudgetBurn", "read", [(60, 0), (300, 0.005), (180, 0)]),
        [
            firing("AvailabilityBudgetBurn", 359, 0, severity="critical"),
            firing("AvailabilityBudgetBurn", 359, 1, severity="warning", window="1d"),
            firing("AvailabilityBudgetBurn", 539, 0, window="1d"),
        ],
    )


def test_within_the_budget_is_silence(tmp_path: Path) -> None:
    expected = [firing("AvailabilityBudgetBurn", minutes, 0) for minutes in (200, 480)]
    check(tmp_path, series("AvailabilityBudgetBurn", "read", [(60, 0), (430, 0.0008)]), expected)


def test_a_handful_of_failures_on_a_quiet_site_wakes_nobody(tmp_path: Path) -> None:
    """One request a minute, five of which fail in a row: 8 % of an hour, but nobody should get up for five requests."""
    line = 'http_requests_total{job="api-gateway", method="GET", route="/blog/*", status="%s"}'
    quiet = [
        {"series": line % 200, "values": " ".join(f"{n} {n}" for n in range(240))},
        {"series": line % 500, "values": "0x239 " + " ".join(f"{n} {n}" for n in range(5)) + " 5x200"},
    ]
    check(
        tmp_path,
        quiet,
        [firing("AvailabilityBudgetBurn", minutes, 0) for minutes in range(118, 200, 2)],
    )


@pytest.mark.parametrize("alert", BOTH)
def test_no_traffic_is_no_failure(alert: str, tmp_path: Path) -> None:
    check(tmp_path, [], [firing(alert, minutes, 0) for minutes in (10, 60)], alert)


def test_a_refused_or_wrong_request_is_no_failure(tmp_path: Path) -> None:
    """4xx are answers; so is 499, a reader who left."""
    line = 'http_requests_total{job="api-gateway", method="GET", route="/blog/*", status="%d"}'
    lines = [{"series": line % status, "values": "0+30x400"} for status in (200, 404, 429, 499)]
    check(tmp_path, lines, [firing("AvailabilityBudgetBurn", 190, 0)])
