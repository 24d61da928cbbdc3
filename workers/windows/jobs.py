"""The functions that RQ jobs name. `dfd work` scores many jobs in a batch; a plain `rq worker` can run one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from types import TracebackType
from typing import Any

from prometheus_client import CollectorRegistry
from redis import Redis
from rq import get_current_job
from rq.job import Job

from dfd_core.environment import load_settings
from dfd_core.errors import WireError
from dfd_core.judging.scoring import Scorer, load_scorer
from dfd_core.queue import records
from dfd_core.queue.broker import argument_of
from dfd_core.queue.poison import set_aside
from dfd_core.queue.records import WindowHeader
from dfd_core.types import Outcome
from workers.windows.metrics import WorkerMetrics
from workers.windows.scoring import BatchScorer, empty_result

log = logging.getLogger(__name__)


def score_window(header: dict[str, Any]) -> None:
    """Score one window and settle it; `header` is `records.header_json` of it."""
    job = get_current_job()
    if job is None:
        raise RuntimeError("score_window runs as an RQ job only; use dfd_core.judging.scoring elsewhere")
    settings = load_settings()
    batch = BatchScorer(job.connection, own_scorer(), settings.queue, WorkerMetrics(CollectorRegistry()))
    error = batch.run([records.parse_header(header)])[0]
    if error is not None:
        raise error


def score_jobs(batch: BatchScorer, jobs: Sequence[Job]) -> list[Exception | None]:
    """Score the windows of started jobs in one go; for each None, or what it raised."""
    headers: dict[int, WindowHeader] = {}
    errors: list[Exception | None] = [None] * len(jobs)
    for index, job in enumerate(jobs):
        try:
            headers[index] = records.parse_header(argument_of(job, "header"))
        except WireError as foreign:
            errors[index] = foreign
    for index, error in zip(headers, batch.run(list(headers.values())), strict=True):
        errors[index] = error
    return errors


def window_failed(
    job: Job,
    connection: Redis,
    kind: type[BaseException],
    error: BaseException,
    traceback: TracebackType | None,
) -> None:
    """RQ's failure callback: when no retry is left, the window is set aside, `failed` with what was raised."""
    if job.retries_left:
        return
    header = records.parse_header(argument_of(job, "header"))
    said = str(error).strip().splitlines()
    reason = f"{kind.__name__}: {said[0]}" if said else _REASONS.get(kind.__name__, kind.__name__)
    if set_aside(connection, header, empty_result(header, Outcome.FAILED, reason)):
        log.warning("Window %d of %s is set aside: %s.", header.seq, header.stream, reason)


_REASONS = {"AbandonedJobError": "every worker that scored it died or hung"}


@cache
def own_scorer() -> Scorer:
    """That of a plain `rq worker`, loaded once, as the environment says."""
    return load_scorer(load_settings())
