"""What `dfd serve` counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.02, 0.1, 0.5, 2, 10, 60)


class ServeMetrics:
    """Each has the `registry` that is passed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = Counter(
            "dfd_serve_requests_total",
            "Requests that were answered, by route and status.",
            ["route", "method", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "dfd_serve_request_seconds",
            "Time to answer, without streams of events.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.event_clients = Gauge("dfd_serve_event_clients", "Who listens to /v1/events now.", registry=registry)
        self.score_restarts = Counter(
            "dfd_serve_score_restarts_total",
            "Processes of /v1/score that hung or died on a file, and were replaced.",
            registry=registry,
        )
