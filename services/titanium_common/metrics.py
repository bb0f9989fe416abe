"""Prometheus metrics, one registry per application so that several can live in one process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# They double the series and nobody asks when a counter was born.
disable_created_metrics()  # type: ignore[no-untyped-call]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """A service's metrics. Labels come from route templates and fixed names only, so their number is bounded."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.started = time.time()
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._requests = Counter(
            "http_requests_total",
            "Requests answered",
            ["service", "method", "route", "status"],
            registry=registry,
        )
        self._duration = Histogram(
            "http_request_duration_seconds",
            "Time to answer a request",
            ["service", "method", "route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "http_requests_in_flight", "Requests being answered", ["service"], registry=registry
        ).labels(service)
        self._cache_hits = Counter(
            "cache_hits_total", "Reads found in the cache", ["service", "cache"], registry=registry
        )
        self._cache_misses = Counter(
            "cache_misses_total", "Reads not found in the cache", ["service", "cache"], registry=registry
        )
        self._query = Histogram(
            "database_query_duration_seconds",
            "Time of a database query",
            ["service", "query"],
            buckets=SECONDS,
            registry=registry,
        )
        self._pool = Gauge(
            "database_pool_connections", "Connections in the pool", ["service", "state"], registry=registry
        )
        self._database_errors = Counter(
            "database_errors_total",
            "Queries that failed because the database was not available",
            ["service"],
            registry=registry,
        )
        self.database_errors = self._database_errors.labels(service)
        self.redis_errors = Counter(
            "redis_errors_total", "Redis commands that failed or were not tried", ["service"], registry=registry
        ).labels(service)
        self._limited = Counter(
            "rate_limited_total", "Requests refused by a rate limit", ["service", "policy"], registry=registry
        )
        self._limit_errors = Counter(
            "rate_limit_errors_total",
            "Requests let through because the limit could not be checked",
            ["service"],
            registry=registry,
        )
        self.rate_limit_errors = self._limit_errors.labels(service)
        self._request_children: dict[tuple[str, str, int], Counter] = {}
        self._duration_children: dict[tuple[str, str], Histogram] = {}
        self._query_children: dict[str, Histogram] = {}
        self.requests = 0
        self.errors = 0

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request.

        Args:
            method: HTTP method.
            route: the route's template, such as `/posts/{id}`.
            status: status code that the client got; 499 if it left before.
            seconds: how long it took.
        """
        self.requests += 1
        if status >= 500:
            self.errors += 1
        if method not in _METHODS:
            method = "OTHER"
        counter = self._request_children.get((method, route, status))
        if counter is None:
            counter = self._requests.labels(self.service, method, route, str(status))
            self._request_children[method, route, status] = counter
        counter.inc()
        histogram = self._duration_children.get((method, route))
        if histogram is None:
            histogram = self._duration.labels(self.service, method, route)
            self._duration_children[method, route] = histogram
        histogram.observe(seconds)

    def query(self, name: str, seconds: float) -> None:
        """Record how long the query called `name` took."""
        histogram = self._query_children.get(name)
        if histogram is None:
            histogram = self._query_children[name] = self._query.labels(self.service, name)
        histogram.observe(seconds)

    def cache_hit(self, cache: str) -> None:
        """Count a read that `cache` answered."""
        self._cache_hits.labels(self.service, cache).inc()

    def cache_miss(self, cache: str) -> None:
        """Count a read that `cache` could not answer."""
        self._cache_misses.labels(self.service, cache).inc()

    def rate_limited(self, policy: str) -> None:
        """Count a request that the limit called `policy` refused."""
        self._limited.labels(self.service, policy).inc()

    def watch_pool(self, used: Callable[[], float], idle: Callable[[], float]) -> None:
        """Read the database pool's use whenever metrics are collected."""
        self._pool.labels(self.service, "used").set_function(used)
        self._pool.labels(self.service, "idle").set_function(idle)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
