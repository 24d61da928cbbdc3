"""The life of one process of `dfd work`: load the model once, then score windows, or files, until told to stop."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry
from redis import Redis

from dfd_core.errors import DfdError, QueueError
from dfd_core.judging.report import Report
from dfd_core.names import one_line
from dfd_core.process.bounds import cpu_limit, held_bytes, limit_memory, limit_writing
from dfd_core.process.children import Deadline
from dfd_core.process.guard import end_with_parent, leave
from dfd_core.process.logs import start_logging
from dfd_core.process.metrics_server import serve_metrics
from dfd_core.process.priority import step_aside
from dfd_core.queue import keys, records
from dfd_core.queue.broker import connect, rq_queue
from dfd_core.queue.bulk import BulkQueue
from dfd_core.queue.submitted import BulkFile
from dfd_core.settings import Settings
from dfd_core.types import ModelInfo
from workers.bulk.jobs import scan_jobs
from workers.bulk.metrics import BulkMetrics
from workers.bulk.runner import BulkRunner
from workers.fleet.gpu import GpuCollector
from workers.fleet.worker import BatchWorker
from workers.windows.jobs import score_jobs
from workers.windows.metrics import WorkerMetrics
from workers.windows.scoring import BatchScorer

EXIT_FATAL = 78  # where the model or the settings are wrong: starting it again would not help
ALONE_S = 10.0  # what is left of a worker so long after its supervisor is killed: others score what it has in hand
_NICENESS = 19  # of one that scores files: the scheduler gives it what live work leaves

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a child is to do; `scorer` is the dotted name of a function that makes a scorer from Settings."""

    name: str
    index: int  # among its siblings; added to the port of its metrics
    bulk: bool  # whether it scores files of the bulk queue
    scorer: str


def work(settings: Settings, assignment: Assignment, deadline: Deadline) -> None:
    """Live it; `deadline` is lifted while there is nothing to do."""
    end_with_parent(ALONE_S)
    start_logging(settings.log)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if assignment.bulk:
        step_aside(_NICENESS)
    try:
        redis = connect(settings.redis)
        scorer = _resolve(assignment.scorer)(settings)
        registry, port = CollectorRegistry(), settings.metrics.worker_port
        own_port = port + assignment.index if port > 0 else port
        served = serve_metrics(registry, settings.metrics.host, own_port, settings.metrics.token_file)
    except QueueError as error:
        log.warning("%s", error)
        sys.exit(1)
    except DfdError as error:
        print(one_line(f"dfd: {error}"), file=sys.stderr)
        sys.exit(EXIT_FATAL)
    GpuCollector(registry)
    make = _bulk_worker if assignment.bulk else _window_worker
    busy = partial(_mark, deadline, settings.worker.hang_timeout_s)
    worker = make(_Parts(redis, assignment.name, scorer, settings, registry, busy))
    deadline.lift()
    what = "files" if assignment.bulk else "windows"
    log.info("Worker %s scores %s with %s; metrics port: %s.", assignment.name, what, scorer.model_name, served)
    worker.work(logging_level="WARNING")
    leave()


@dataclass(frozen=True, slots=True)
class _Parts:
    """What either worker is made of."""

    redis: Redis
    name: str
    scorer: Any
    settings: Settings
    registry: CollectorRegistry
    busy: Callable[[bool], None]


def _window_worker(parts: _Parts) -> BatchWorker:
    redis, settings, metrics = parts.redis, parts.settings, WorkerMetrics(parts.registry)
    model = _model_info(parts.scorer, settings)
    metrics.show_model(model)
    redis.set(keys.MODEL_KEY, records.pack_model(model))
    announce = partial(redis.set, keys.MODEL_KEY, records.pack_model(model), nx=True)  # after it came back empty
    batch = BatchScorer(redis, parts.scorer, settings.queue, metrics)
    queues = [rq_queue(redis, live=True), rq_queue(redis, live=False)]
    score = partial(score_jobs, batch)
    return BatchWorker(parts.name, queues, score, settings.worker, busy=parts.busy, announce=announce)


def _bulk_worker(parts: _Parts) -> BatchWorker:
    runner = BulkRunner(parts.redis, parts.scorer, parts.settings, parts.name, alive=partial(parts.busy, True))
    scan = partial(scan_jobs, partial(_bounded, runner, parts.settings.video.max_cpu_s), BulkMetrics(parts.registry))
    limit_memory(parts.settings.video.max_memory_bytes, beside=held_bytes())
    limit_writing(parts.settings.bulk.upload_bytes)
    one_by_one = replace(parts.settings.worker, batch_windows=1, batch_wait_s=0.0)
    return BatchWorker(parts.name, [BulkQueue(parts.redis).queue], scan, one_by_one, busy=parts.busy)


def _bounded(runner: BulkRunner, max_cpu_s: float, file: BulkFile) -> Report | None:
    with cpu_limit(max_cpu_s):
        return runner.run(file)


def _mark(deadline: Deadline, hang_timeout_s: float, busy: bool) -> None:
    if busy:
        deadline.within(hang_timeout_s)
    else:
        deadline.lift()


def _resolve(dotted: str) -> Any:
    module, _, name = dotted.rpartition(".")
    return getattr(__import__(module, fromlist=[name]), name)


def _model_info(scorer: Any, settings: Settings) -> ModelInfo:
    runtime = str(getattr(scorer, "runtime_name", settings.model.runtime))
    return ModelInfo(scorer.model_name, runtime, scorer.thresholds.enter, scorer.thresholds.exit)
