"""What a worker process counts, and serves at its own /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, Info

from dfd_core.types import ModelInfo, Outcome

_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class WorkerMetrics:
    """Counters and histograms of one worker; each has the `registry` that is passed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.batch_windows = Histogram(
            "dfd_worker_batch_windows",
            "Windows in one batch.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self.scoring_seconds = Histogram(
            "dfd_worker_scoring_seconds", "Time to score one batch.", buckets=_SECONDS, registry=registry
        )
        self.crops = Counter("dfd_worker_crops_total", "Face crops that came with pixels.", registry=registry)
        self.windows = Counter(
            "dfd_worker_windows_total", "Windows that this worker settled.", ["outcome"], registry=registry
        )
        self.retries = Counter("dfd_worker_errors_total", "Windows whose scoring raised.", registry=registry)
        self._model = Info("dfd_model", "What the worker scores with.", registry=registry)
        for outcome in Outcome:
            self.windows.labels(outcome)

    def show_model(self, model: ModelInfo) -> None:
        """Serve dfd_model_info."""
        self._model.info({"name": model.name, "runtime": model.runtime})
