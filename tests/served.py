"""All metrics that the parts of dfd can serve: sample names with their labels."""

from prometheus_client import CollectorRegistry

from dfd_core.queue.submitted import BulkState
from dfd_core.streams import StreamSpec
from dfd_core.types import ModelInfo, Outcome, State, StreamState, StreamStatus, Verdict, WindowResult, WindowScore
from ingest.metrics import StreamCollector
from workers.bulk.metrics import BulkMetrics
from workers.evidence.metrics import EvidenceMetrics
from workers.fleet.gpu import Gpu, GpuCollector
from workers.monitor.metrics import MonitorMetrics
from workers.serve.metrics import ServeMetrics
from workers.windows.metrics import WorkerMetrics

_STATUS = StreamStatus("cam", "r", StreamState.LIVE, True, "x", 0.0, 1.0, dropped={"late": 1})
_MODEL = ModelInfo("m", "litert", 0.5, 0.4)


def by_the_monitor() -> dict[str, set[str]]:
    """Of `dfd monitor`."""
    registry = CollectorRegistry()
    metrics = MonitorMetrics(registry)
    metrics.source(_STATUS, heard=True)
    metrics.redis(up=True)
    metrics.poison(1)
    metrics.active(active=True)
    metrics.streams({"cam": StreamSpec("cam")}, {"cam": _STATUS}, silent=())
    score = WindowScore("cam", 0, 0, 0.0, 1.0, 0.9, {}, None, "m", 1.0, 1.0)
    metrics.window(WindowResult("cam", 0, Outcome.SCORED, 0.0, 1.0, 1.0, (score,)), 2.0)
    metrics.window(WindowResult("cam", 1, Outcome.NOT_SCORABLE, 0.0, 1.0, 1.0, (), "too small: 9 px"), 2.0)
    metrics.alarm("cam", Verdict("cam", 0, State.FAKE, 0.0, 1.0, 0.9))
    metrics.alarm_began("cam")
    metrics.canary("cam", 1.0, 0)
    metrics.told("webhook", "dropped")
    metrics.queue("cam", 1, 1.0)
    metrics.fleet(1, 1, 1)
    metrics.bulk(dict.fromkeys(BulkState, 1))
    metrics.model(_MODEL)
    return _samples(registry)


def by_ingest() -> dict[str, set[str]]:
    """Of `dfd ingest`."""
    registry = CollectorRegistry()
    StreamCollector(lambda: [_STATUS], registry)
    return _samples(registry)


def by_evidence() -> dict[str, set[str]]:
    """Of `dfd evidence`."""
    registry = CollectorRegistry()
    EvidenceMetrics(registry).lost.labels("disk full")
    return _samples(registry)


def by_the_server() -> dict[str, set[str]]:
    """Of `dfd serve`."""
    metrics = ServeMetrics(CollectorRegistry())
    metrics.requests.labels("/v1/model", "GET", "200")
    metrics.seconds.labels("/v1/model")
    return _samples(metrics.registry)


def by_workers() -> dict[str, set[str]]:
    """Of the processes of `dfd work`."""
    registry = CollectorRegistry()
    WorkerMetrics(registry).show_model(_MODEL)
    BulkMetrics(registry)
    GpuCollector(registry, lambda: [Gpu(0, 0.5, 1, 2)])
    return _samples(registry)


def _samples(registry: CollectorRegistry) -> dict[str, set[str]]:
    return {s.name: set(s.labels) for family in registry.collect() for s in family.samples}
