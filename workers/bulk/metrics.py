"""What a process of the bulk queue serves at /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram


class BulkMetrics:
    """Counters of one process of the bulk queue."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.files = Counter(
            "dfd_bulk_files_total",
            "Files that this process scored whole or in part, or failed at once.",
            ["outcome"],
            registry=registry,
        )
        self.seconds = Histogram(
            "dfd_bulk_file_seconds",
            "Time to score one file.",
            buckets=(0.1, 0.5, 2, 10, 60, 300, 1800),
            registry=registry,
        )
        for outcome in ("done", "partial", "failed"):
            self.files.labels(outcome)
