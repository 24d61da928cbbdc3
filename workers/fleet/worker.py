"""An RQ worker that keeps its model warm and runs many jobs as one batch, each with its own RQ life cycle.

RQ's `Worker` forks for each job, which TensorFlow does not survive; its `SimpleWorker` runs one job at a time, sends
no heartbeat meanwhile, and pops from two queues in a way that loses a job if it dies right then. Here jobs are moved
to RQ's intermediate queues in one step, started together, kept alive by a thread, and finished by RQ's own methods.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from types import FrameType
from typing import Any, TypeVar

from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import now
from rq.worker import WorkerStatus
from rq.worker_registration import register

from dfd_core.process.backoff import Backoff
from dfd_core.queue import keys
from dfd_core.queue.connection import READ_TIMEOUT_S, REDIS_AWAY, trouble
from dfd_core.queue.jobs import OwnJob
from dfd_core.settings import WorkerSettings

HEARTBEAT_S, MAINTENANCE_S = 5.0, 10
HEARTBEAT_TTL_S = 30  # RQ gives a started job to another worker when its heartbeat is older
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 5.0  # between two attempts to reach a Redis that was lost
POLL_S = 0.1  # an idle worker waits on the first queue and looks at the others so often

log = logging.getLogger(__name__)

Errors = list[Exception | None]
RunJobs = Callable[[Sequence[Job]], Errors]
Task = tuple[Job, Queue]
_T = TypeVar("_T")


class BatchWorker(SimpleWorker):
    """Takes up to `batch_windows` jobs, waits at most `batch_wait_s` for more, and runs them as one.

    `queues` stand in falling priority. `run_jobs` does the work of started jobs and returns for each None, or what it
    raised; it is called again where Redis went away in it. `busy` is called with True before and False after each
    batch, `announce` with each heartbeat. A job that failed before runs alone: its neighbours shall not suffer for it
    again. A Redis that is away is waited for, also in mid-batch; one that comes back empty is told of the worker again.
    """

    connection_timeout = int(READ_TIMEOUT_S)  # RQ's own, which it sets for all calls, holds each for two minutes

    def __init__(
        self,
        name: str,
        queues: Sequence[Queue],
        run_jobs: RunJobs,
        settings: WorkerSettings,
        *,
        busy: Callable[[bool], None] = lambda _: None,
        announce: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(
            list(queues),
            name=name,
            connection=queues[0].connection,
            serializer=JSONSerializer,
            job_class=OwnJob,
            worker_ttl=60,
            maintenance_interval=MAINTENANCE_S,
            log_job_description=False,
        )
        self._run_jobs, self._settings, self._busy, self._announce = run_jobs, settings, busy, announce
        self._batch: list[Task] = []
        self._known_at = -math.inf

    def dequeue_job_and_maintain_ttl(self, timeout: int | None, max_idle_time: int | None = None) -> Task | None:
        """The first job of the next batch; None when the worker shall stop (or, without timeout, has nothing to do)."""
        self._batch = []
        self._patiently(partial(self.set_state, WorkerStatus.IDLE))
        while self._wanted:
            self._batch = self._patiently(self._look) or []
            if self._batch or timeout is None:
                return self._batch[0] if self._batch else None
        return None

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run the batch that `job` is the first of, and finish each of its jobs the way RQ does."""
        batch = self._batch
        self._busy(True)
        try:
            executions = self._patiently(partial(self._start, batch))
            if executions is None:
                return
            with self._heartbeats(batch, executions):
                errors = self._patiently(partial(self._run_jobs, [each for each, _ in batch]))
            if errors is not None:
                self._patiently(partial(self._finish, batch, executions, errors))
        finally:
            self._busy(False)

    def _finish(self, batch: Sequence[Task], executions: Sequence[Execution], errors: Errors) -> None:
        """End each job the way RQ does; those that went well in one transaction, for nothing waits for one of dfd's."""
        with self.connection.pipeline(transaction=False) as pipe:
            for job, _ in batch:
                pipe.hexists(job.key, "status")
            known = pipe.execute()
        with self.connection.pipeline() as pipe:
            for (job, queue), execution, error, is_known in zip(batch, executions, errors, known, strict=True):
                if not is_known:  # Redis was emptied, and RQ would stumble over it; or it was finished before
                    self.connection.delete(job.key)
                    self.executions.pop(execution.id, None)
                elif error is None:
                    self.increment_successful_job_count(pipe)
                    self.increment_total_working_time(now() - (job.started_at or now()), pipe)
                    self.cleanup_execution(job, pipe, execution)
                    pipe.delete(job.key, job.dependents_key, job.dependencies_key, job.execution_registry.key)
                else:
                    self._finalize_failure(job, queue, execution, (type(error), error, error.__traceback__))
            pipe.execute()

    @property
    def _wanted(self) -> bool:
        return not self._stop_requested

    def _patiently(self, act: Callable[[], _T]) -> _T | None:
        """What `act` gives, as soon as Redis lets it; None where the worker shall stop before that."""
        pauses = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        while True:
            try:
                return act()
            except REDIS_AWAY as error:
                pause_s = pauses.next_s()
                log.warning("Redis %s; trying again in %.0f s.", trouble(error), pause_s)
            self._busy(bool(self._batch))  # it waits, it does not hang
            time.sleep(pause_s)
            self._busy(bool(self._batch))
            if not self._wanted:
                return None

    def _look(self) -> list[Task]:
        if time.monotonic() - self._known_at >= HEARTBEAT_S:
            self._be_known()
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()
        return self._gather()

    def _be_known(self) -> None:
        """Tell Redis that this worker lives, and all about it where it came back empty; raises RedisError."""
        with self.connection.pipeline(transaction=False) as pipe:
            pipe.sismember(self.redis_workers_keys, self.key)
            pipe.hexists(self.key, "birth")
            known = all(pipe.execute())
        with self.connection.pipeline() as pipe:
            if not known:
                pipe.hset(self.key, mapping=self.serialize())
                register(self, pipe)
            self.heartbeat(pipeline=pipe)
            pipe.execute()
        self._announce()
        self._known_at = time.monotonic()

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Be alive for `HEARTBEAT_TTL_S` more seconds: a host that died is seen soon. Raises where it is piped only."""
        with nullcontext() if pipeline is not None else suppress(*REDIS_AWAY):
            super().heartbeat(HEARTBEAT_TTL_S, pipeline)

    def teardown(self) -> None:
        """End, and count as hung where that takes too long."""
        self._busy(True)
        super().teardown()  # type: ignore[no-untyped-call]

    def register_death(self) -> None:
        """Tell Redis that this worker ends; not with a batch in hand: who gives it out again looks here for it."""
        if not self.executions:
            with suppress(*REDIS_AWAY):
                super().register_death()  # type: ignore[no-untyped-call]

    def check_for_suspension(self, burst: bool) -> None:
        """Wait while `rq suspend` says so."""
        with suppress(*REDIS_AWAY):
            super().check_for_suspension(burst)

    def run_maintenance_tasks(self) -> None:
        """What RQ does now and then."""
        with suppress(*REDIS_AWAY):
            super().run_maintenance_tasks()  # type: ignore[no-untyped-call]

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """Seconds after which a started job without a heartbeat goes to another worker."""
        return HEARTBEAT_TTL_S

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Stop after the batch in hand; a second signal changes nothing, the supervisor kills if it must."""
        self._stop_requested = True

    def unsubscribe(self) -> None:
        """Listen no more; the listening thread closes its connection, for two that close it at once raise."""
        if self.pubsub_thread:
            self.pubsub_thread.stop()
            with suppress(*REDIS_AWAY):
                self.pubsub.unsubscribe()  # its answer wakes the thread
            self.pubsub_thread.join(timeout=10)

    def _install_signal_handlers(self) -> None:
        signal.signal(signal.SIGTERM, self.request_stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the supervisor, which sends SIGTERM

    def _gather(self) -> list[Task]:
        limit = self._settings.batch_windows
        batch = self._take(limit, POLL_S)
        deadline = time.monotonic() + self._settings.batch_wait_s
        while batch and len(batch) < limit and not _retried(batch[-1][0]):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            batch += self._take(limit - len(batch), left)
        alone = next((task for task in batch if _retried(task[0])), None)
        if alone is None or len(batch) == 1:
            return batch
        self._put_back([task for task in batch if task is not alone])
        return [alone]

    def _take(self, limit: int, wait_s: float) -> list[Task]:
        """Up to `limit` jobs, now in the intermediate queues; waits for one of the first queue."""
        taken: list[tuple[str, Queue]] = []
        for queue in self.queues:
            with self.connection.pipeline(transaction=False) as pipe:
                for _ in range(limit - len(taken)):
                    pipe.lmove(queue.key, queue.intermediate_queue_key)
                taken += [(job_id.decode(), queue) for job_id in pipe.execute() if job_id is not None]
        if not taken:
            first = self.queues[0]
            job_id: Any = self.connection.blmove(first.key, first.intermediate_queue_key, wait_s)  # type: ignore[arg-type]
            if job_id is None:
                return []
            taken = [(job_id.decode(), first)]
        jobs = OwnJob.fetch_many([job_id for job_id, _ in taken], self.connection, self.serializer)
        for (job_id, queue), job in zip(taken, jobs, strict=True):
            if job is None:  # its TTL ran out, or its window was dropped in between
                queue.intermediate_queue.remove(job_id)
        return [(job, queue) for (_, queue), job in zip(taken, jobs, strict=True) if job is not None]

    def _put_back(self, tasks: Sequence[Task]) -> None:
        with self.connection.pipeline() as pipe:
            for job, queue in reversed(tasks):
                pipe.lpush(queue.key, job.id)
                pipe.lrem(queue.intermediate_queue_key, 1, job.id)
            pipe.execute()

    def _start(self, batch: Sequence[Task]) -> list[Execution]:
        """What RQ's prepare_execution and prepare_job_execution do, for all jobs in one transaction."""
        executions = []
        with self.connection.pipeline() as pipe:
            for job, queue in batch:
                pipe.delete(job.execution_registry.key)  # of a worker that died: RQ would stumble over it
                execution = Execution.create(job, HEARTBEAT_TTL_S, pipeline=pipe, worker_name=self.name)
                executions.append(execution)
                job.prepare_for_execution(self.name, pipeline=pipe)
                pipe.persist(job.key)
                pipe.lrem(queue.intermediate_queue_key, 1, job.id)
            self.set_state(WorkerStatus.BUSY, pipeline=pipe)
            self.heartbeat(pipeline=pipe)
            pipe.execute()
        self.executions.update({execution.id: execution for execution in executions})
        return executions

    @contextmanager
    def _heartbeats(self, batch: Sequence[Task], executions: Sequence[Execution]) -> Iterator[None]:
        """RQ's heartbeats of worker, jobs and executions, from a thread, while native code runs."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(HEARTBEAT_S):
                try:
                    self._be_known()
                    for (job, _), execution in zip(batch, executions, strict=True):
                        self.maintain_heartbeats(job, execution)
                except RedisError as error:
                    log.warning("A heartbeat could not be sent: %s.", type(error).__name__)

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _retried(job: Job) -> bool:
    return job.retries_left is not None and job.retries_left < keys.RETRIES
