"""A worker process of the bulk queue: one file at a time, at the lowest priority of the machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from redis import Redis
from rq import Queue
from rq.job import Job

from dfd_core.queue.broker import argument_of
from dfd_core.queue.bulk import BulkFile, BulkQueue, parse_file
from dfd_core.settings import WorkerSettings
from workers.fleet.worker import BatchWorker, Task
from workers.windows.metrics import BulkMetrics

_NICENESS = 19  # the scheduler gives what live work leaves


class BulkWorker(BatchWorker):
    """Runs `scan` on each file; what it raises is the job's failure, and RQ tries again after a pause."""

    def __init__(
        self,
        redis: Redis,
        name: str,
        scan: Callable[[BulkFile], object],
        settings: WorkerSettings,
        *,
        metrics: BulkMetrics,
        busy: Callable[[bool], None] = lambda _: None,
    ) -> None:
        alone = replace(settings, batch_windows=1, batch_wait_s=0.0)
        super().__init__(redis, name, lambda headers: [], alone, busy)
        self._scan, self._metrics = scan, metrics

    def queues_of(self, redis: Redis) -> list[Queue]:
        """The bulk queue only."""
        return [BulkQueue(redis).queue]

    def score_jobs(self, batch: Sequence[Task]) -> list[Exception | None]:
        """What scanning each file raised."""
        return [self._run(job) for job, _ in batch]

    def _run(self, job: Job) -> Exception | None:
        try:
            file = parse_file(argument_of(job, "file"))
            with self._metrics.seconds.time():
                report = self._scan(file)
        except Exception as error:  # noqa: BLE001  one bad file must not take the worker down; RQ records the error
            self._metrics.files.labels("failed").inc()
            return error
        self._metrics.files.labels("partial" if getattr(report, "partial", False) else "done").inc()
        return None


def yield_to_others() -> None:
    """Let every other process of this machine go first."""
    os.nice(_NICENESS)
