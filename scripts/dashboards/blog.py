"""What readers feel: golden signals, promises, and the data behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.dashboards.kit import choice, graph, number, page

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders.dashboard import Dashboard

SERVICES = ("api-gateway", "auth-service", "user-service", "blog-service")
# Probes and scrapes are not readers.
READERS = 'job=~"$service", route!~"/health|/ready|/metrics|/stats"'
LINES = '{namespace="titanium-prod", service=~"$service"} | json | status>=%d'
NO_ERRORS = "no request failed."
BUDGET = ((None, "red"), (0.0, "orange"), (0.25, "green"))


def _quantile(quantile: float, by: str, selector: str = READERS) -> str:
    bucket = f"rate(http_request_duration_seconds_bucket{{{selector}}}[$__rate_interval])"
    return f"histogram_quantile({quantile}, sum by (le, {by}) ({bucket}))"


def _rate(metric: str, selector: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{selector}}}[$__rate_interval]))"


def golden_signals() -> Dashboard:
    """Latency, traffic, errors, saturation."""
    failed = f'{READERS}, status=~"5.."'
    refused = f'{READERS}, status=~"4.."'
    container = 'job="cadvisor", namespace="titanium-prod", container=~"$service"'
    return page(
        "titanium-golden-signals",
        "Golden Signals",
        "How fast, how much, how often wrong, how full: by service and route.",
        {
            "Latency": [
                graph(
                    f"P{quantile * 100:g} by service",
                    "s",
                    (_quantile(quantile, "job"), "{{job}}"),
                    width=8,
                    logs_of='{namespace="titanium-prod", service=~"$service"} | json | duration_ms>500',
                )
                for quantile in (0.5, 0.95, 0.99)
            ]
            + [graph("P95 by route", "s", (_quantile(0.95, "job, route"), "{{job}} {{route}}"), width=24)],
            "Traffic": [
                graph("Requests by service", "reqps", (_rate("http_requests_total", READERS, "job"), "{{job}}")),
                graph(
                    "Requests by route",
                    "reqps",
                    (_rate("http_requests_total", READERS, "job, method, route"), "{{job}} {{method}} {{route}}"),
                ),
            ],
            "Errors": [
                graph(
                    "Share of failures (5xx) by service",
                    "percentunit",
                    (
                        f"{_rate('http_requests_total', failed, 'job')} / {_rate('http_requests_total', READERS, 'job')}",
                        "{{job}}",
                    ),
                    width=8,
                    may_be_empty=NO_ERRORS,
                    logs_of=LINES % 500,
                ),
                graph(
                    "Failures (5xx) by route",
                    "reqps",
                    (_rate("http_requests_total", failed, "job, route, status"), "{{job}} {{route}} {{status}}"),
                    width=8,
                    may_be_empty=NO_ERRORS,
                    logs_of=LINES % 500,
                ),
                graph(
                    "Refused (4xx) by route",
                    "reqps",
                    (_rate("http_requests_total", refused, "job, route, status"), "{{job}} {{route}} {{status}}"),
                    width=8,
                    may_be_empty="no request was refused.",
                    logs_of=LINES % 400,
                ),
                graph(
                    "Refused by a rate limit",
                    "reqps",
                    (_rate("rate_limited_total", 'job=~"$service"', "job, policy"), "{{job}} {{policy}}"),
                    may_be_empty="nobody was refused by a limit.",
                ),
                graph(
                    "Passed because a limit could not be checked",
                    "reqps",
                    (_rate("rate_limit_errors_total", 'job=~"$service"', "job"), "{{job}}"),
                ),
            ],
            "Saturation": [
                graph(
                    "Requests being answered",
                    "short",
                    ('sum by (job) (http_requests_in_flight{job=~"$service"})', "{{job}}"),
                ),
                graph(
                    "Connections to the database",
                    "short",
                    ('sum by (job, state) (database_pool_connections{job=~"$service"})', "{{job}} {{state}}"),
                ),
                graph(
                    "Processors in use",
                    "short",
                    (_rate("container_cpu_usage_seconds_total", container, "container"), "{{container}}"),
                ),
                graph(
                    "Memory, share of the limit",
                    "percentunit",
                    (
                        f"max by (container, pod) (container_memory_working_set_bytes{{{container}}}) / "
                        f"max by (container, pod) (container_spec_memory_limit_bytes{{{container}}} > 0)",
                        "{{pod}}",
                    ),
                ),
            ],
        },
        choice("service", "Service", SERVICES, "|".join(SERVICES)),
    )


def objectives() -> Dashboard:
    """What was promised, and what is left of the budget."""
    journey = 'journey=~"$journey"'
    return page(
        "titanium-slo",
        "Objectives and error budget",
        "99.9 % without an error of ours, 95 % within half a second, by journey.",
        {
            "Budget of thirty days, as the last three days would leave it": [
                number(
                    "Availability, worst journey",
                    "percentunit",
                    f"min(journey:availability_budget:left{{{journey}}})",
                    width=6,
                    limits=BUDGET,
                ),
                number(
                    "Latency, worst journey",
                    "percentunit",
                    f"min(journey:latency_budget:left{{{journey}}})",
                    width=6,
                    limits=BUDGET,
                ),
                number(
                    "Alerts that fire",
                    "short",
                    'count(ALERTS{alertstate="firing", severity=~"critical|warning"}) or vector(0)',
                    width=6,
                    limits=((None, "green"), (1.0, "red")),
                ),
                number("Requests a second", "reqps", f"sum(journey:http_requests:rate5m{{{journey}}})", width=6),
                graph(
                    "Availability: budget left",
                    "percentunit",
                    (f"journey:availability_budget:left{{{journey}}}", "{{journey}}"),
                ),
                graph(
                    "Latency: budget left", "percentunit", (f"journey:latency_budget:left{{{journey}}}", "{{journey}}")
                ),
            ],
            "How fast it burns (1 is as fast as it may)": [
                graph(
                    f"{name}, {window}",
                    "short",
                    (f"journey:http_{kind}:ratio{window}{{{journey}}} / {budget}", "{{journey}}"),
                    width=6,
                )
                for name, kind, budget in (("Failures", "failures", 0.001), ("Slow answers", "slow", 0.05))
                for window in ("5m", "1h", "6h", "3d")
            ],
            "Traffic": [
                graph(
                    "Requests by journey",
                    "reqps",
                    (f"journey:http_requests:rate5m{{{journey}}}", "{{journey}}"),
                    width=24,
                ),
            ],
        },
        choice("journey", "Journey", ("read", "account", "write", "comment", "search"), ".+"),
    )


def postgresql() -> Dashboard:
    """PostgreSQL as its exporter and the services see it."""
    titanium = 'job="postgresql", datname="titanium"'
    return page(
        "titanium-postgresql",
        "PostgreSQL",
        "The database as its exporter and the services see it.",
        {
            "Overview": [
                number("Up", "short", 'max(pg_up{job="postgresql"})', limits=((None, "red"), (1.0, "green"))),
                number(
                    "Connections used",
                    "percentunit",
                    'sum(pg_stat_database_numbackends{job="postgresql"}) / max(pg_settings_max_connections{job="postgresql"})',
                    limits=((None, "green"), (0.7, "orange"), (0.85, "red")),
                ),
                number("Size", "bytes", 'sum(pg_database_size_bytes{job="postgresql", datname="titanium"})'),
                number(
                    "Read from memory",
                    "percentunit",
                    f"sum(rate(pg_stat_database_blks_hit{{{titanium}}}[$__rate_interval])) / "
                    f"(sum(rate(pg_stat_database_blks_hit{{{titanium}}}[$__rate_interval])) + "
                    f"sum(rate(pg_stat_database_blks_read{{{titanium}}}[$__rate_interval])))",
                ),
                number("Deadlocks in an hour", "short", f"sum(increase(pg_stat_database_deadlocks{{{titanium}}}[1h]))"),
                number(
                    "Behind (replicas)",
                    "s",
                    'max(pg_replication_lag_seconds{job="postgresql"} and pg_replication_is_replica{job="postgresql"} == 1)',
                    may_be_empty="there is no replica.",
                ),
            ],
            "Work": [
                graph(
                    "Transactions",
                    "ops",
                    (f"rate(pg_stat_database_xact_commit{{{titanium}}}[$__rate_interval])", "committed"),
                    (f"rate(pg_stat_database_xact_rollback{{{titanium}}}[$__rate_interval])", "rolled back"),
                ),
                graph(
                    "Rows",
                    "ops",
                    *(
                        (f"rate(pg_stat_database_tup_{what}{{{titanium}}}[$__rate_interval])", what)
                        for what in ("returned", "fetched", "inserted", "updated", "deleted")
                    ),
                ),
                graph(
                    "Connections by database",
                    "short",
                    ('sum by (datname) (pg_stat_database_numbackends{job="postgresql"})', "{{datname}}"),
                ),
                graph("Locks", "short", (f"sum by (mode) (pg_locks_count{{{titanium}}})", "{{mode}}")),
                graph(
                    "Queries as the services name them, P95",
                    "s",
                    (
                        "histogram_quantile(0.95, sum by (le, query) (rate(database_query_duration_seconds_bucket[$__rate_interval])))",
                        "{{query}}",
                    ),
                ),
                graph("Queries that failed", "ops", (_rate("database_errors_total", "", "job"), "{{job}}")),
            ],
        },
    )


def redis() -> Dashboard:
    """Redis as its exporter and the services see it."""
    selector = 'job="redis"'
    return page(
        "titanium-redis",
        "Redis",
        "The cache and the rate limits' counters.",
        {
            "Overview": [
                number("Up", "short", f"max(redis_up{{{selector}}})", limits=((None, "red"), (1.0, "green"))),
                number(
                    "Memory used",
                    "percentunit",
                    f"max(redis_memory_used_bytes{{{selector}}}) / max(redis_memory_max_bytes{{{selector}}} > 0)",
                    limits=((None, "green"), (0.8, "orange"), (0.95, "red")),
                ),
                number("Clients", "short", f"sum(redis_connected_clients{{{selector}}})"),
                number("Keys", "short", f"sum(redis_db_keys{{{selector}}})"),
                number("Up for", "s", f"max(redis_uptime_in_seconds{{{selector}}})"),
                number(
                    "Rejected in an hour", "short", f"sum(increase(redis_rejected_connections_total{{{selector}}}[1h]))"
                ),
            ],
            "Work": [
                graph("Commands", "ops", (_rate("redis_commands_total", selector, "cmd"), "{{cmd}}"), stacked=True),
                graph(
                    "Found and not found",
                    "ops",
                    (f"sum(rate(redis_keyspace_hits_total{{{selector}}}[$__rate_interval]))", "found"),
                    (f"sum(rate(redis_keyspace_misses_total{{{selector}}}[$__rate_interval]))", "not found"),
                ),
                graph(
                    "Expired and evicted",
                    "ops",
                    (f"sum(rate(redis_expired_keys_total{{{selector}}}[$__rate_interval]))", "expired"),
                    (f"sum(rate(redis_evicted_keys_total{{{selector}}}[$__rate_interval]))", "evicted"),
                ),
                graph("Memory", "bytes", (f"max(redis_memory_used_bytes{{{selector}}})", "used")),
                graph(
                    "Caches: share found",
                    "percentunit",
                    (
                        "sum by (cache) (rate(cache_hits_total[$__rate_interval])) / (sum by (cache) (rate(cache_hits_total[$__rate_interval])) "
                        "+ sum by (cache) (rate(cache_misses_total[$__rate_interval])))",
                        "{{cache}}",
                    ),
                    may_be_empty="a cache that nobody asked has no share.",
                ),
                graph("Commands that failed", "ops", (_rate("redis_errors_total", "", "job"), "{{job}}")),
            ],
        },
    )
