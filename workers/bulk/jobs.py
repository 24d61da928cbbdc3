"""The functions that jobs of the bulk queue name; `dfd work` calls the first itself, a plain `rq worker` can too."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from redis import Redis
from rq import get_current_job
from rq.job import Job

from dfd_core.queue.bulk import REASON, parse_file
from dfd_core.settings import load_settings
from workers.bulk.runner import BulkRunner
from workers.windows.jobs import own_scorer


def scan(file: dict[str, Any]) -> None:
    """Score one file and keep its report; `file` is JSON of a BulkFile."""
    job = get_current_job()
    if job is None:
        raise RuntimeError("scan runs as an RQ job only; use dfd_core.judging.offline elsewhere")
    BulkRunner(job.connection, own_scorer(), load_settings(), job.worker_name or "rq").run(parse_file(file))


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


_REASONS = {"AbandonedJobError": "The worker that scored it died or hung."}
