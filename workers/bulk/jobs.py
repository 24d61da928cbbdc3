"""The functions that jobs of the bulk queue name, for a plain `rq worker`; `dfd work` calls `scan_jobs`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from redis import Redis
from rq import get_current_job
from rq.job import Job

from dfd_core.environment import load_settings
from dfd_core.queue.broker import REDIS_AWAY, argument_of
from dfd_core.queue.bulk import REASON
from dfd_core.queue.submitted import BulkFile, parse_file
from workers.bulk.metrics import BulkMetrics
from workers.bulk.runner import BulkRunner
from workers.windows.jobs import own_scorer

log = logging.getLogger(__name__)


def scan(file: dict[str, Any]) -> None:
    """Score one file and keep its report; `file` is JSON of a BulkFile."""
    job = get_current_job()
    if job is None:
        raise RuntimeError("scan runs as an RQ job only; use dfd_core.detector elsewhere")
    BulkRunner(job.connection, own_scorer(), load_settings(), job.worker_name or "rq").run(parse_file(file))


def scan_jobs(
    scan_file: Callable[[BulkFile], object], metrics: BulkMetrics, jobs: Sequence[Job]
) -> list[Exception | None]:
    """Score the files of started jobs, one by one; for each None, or what it raised: RQ tries again after a pause."""
    return [_scanned(scan_file, metrics, job) for job in jobs]


def _scanned(scan_file: Callable[[BulkFile], object], metrics: BulkMetrics, job: Job) -> Exception | None:
    try:
        file = parse_file(argument_of(job, "file"))
        with metrics.seconds.time():
            report = scan_file(file)
    except REDIS_AWAY:
        raise  # no fault of the file: it is scored again once Redis is back
    except MemoryError:  # perhaps no fault of the file either: a fresh process tries it again
        log.error("No memory is left, or video.max_memory_bytes allows no more: this worker ends.")
        raise
    except Exception as error:  # noqa: BLE001  one bad file must not take the worker down; RQ records the error
        metrics.files.labels("failed").inc()
        return error
    metrics.files.labels("partial" if getattr(report, "partial", False) else "done").inc()
    return None


def scan_failed(
    job: Job,
    connection: Redis,
    kind: type[BaseException],
    error: BaseException,
    traceback: TracebackType | None,
) -> None:
    """RQ's failure callback: keep one sentence of it, which is what `dfd jobs` shows."""
    said = str(error).strip().splitlines()
    named = kind.__module__.startswith("dfd_core") and said
    job.meta[REASON] = _REASONS.get(kind.__name__) or (said[0] if named else ": ".join([kind.__name__, *said[:1]]))
    job.save_meta()


_REASONS = {
    "AbandonedJobError": "The worker that scored it died or hung, or the file takes more than "
    "video.max_memory_bytes or video.max_cpu_s allow: the log of `dfd work` says which."
}
