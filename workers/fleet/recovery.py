"""Gives the jobs of workers that died out again, through RQ's own registries, at once instead of in minutes."""

from __future__ import annotations

import logging
from typing import Any

from redis import Redis
from rq import Queue, Worker
from rq.executions import WORKER_EXECUTIONS_KEY_TEMPLATE
from rq.scheduler import RQScheduler
from rq.serializers import JSONSerializer

from dfd_core.queue.broker import rq_queue
from dfd_core.queue.bulk import BulkQueue
from dfd_core.queue.connection import READ_TIMEOUT_S

# Of two supervisors that saw the same job waiting, one queues it.
_PUT_BACK = """
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
return redis.call('LPUSH', KEYS[2], ARGV[1])
"""

log = logging.getLogger(__name__)


class _Dead(Worker):
    """One that died, as Redis knows it."""

    connection_timeout = int(READ_TIMEOUT_S)  # RQ sets its own for all calls: seven minutes


class Recovery:
    """Two nets: `recover` for a worker known to be dead, `sweep` for whatever else was lost on the way.

    `enqueue_due` brings back what waits for another attempt: RQ's own scheduler, without the process that it forks.
    All of it belongs to the main thread: RQ bounds the callbacks of failed jobs by a signal.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        bulk = BulkQueue(redis).queue
        self._queues = [rq_queue(redis, live=True), rq_queue(redis, live=False), bulk]
        self._scheduler = RQScheduler([bulk], redis, serializer=JSONSerializer, logging_level=logging.WARNING)
        self._seen: set[str] = set()

    def recover(self, name: str) -> None:
        """Let the heartbeats of a dead worker's jobs be long past, so that RQ retries or fails them now."""
        members: Any = self._redis.smembers(WORKER_EXECUTIONS_KEY_TEMPLATE.format(name))
        for queue in self._queues:
            registry = queue.started_job_registry
            if members:
                self._redis.zadd(registry.key, dict.fromkeys(members, 1), xx=True)
            registry.cleanup()
        worker = _Dead.find_by_key(
            f"{Worker.redis_worker_namespace_prefix}{name}", self._redis, serializer=JSONSerializer
        )
        if worker is not None:
            worker.register_death()

    def enqueue_due(self) -> None:
        """Queue the jobs whose pause after a failure is over; one supervisor at a time does it for all."""
        if self._scheduler.acquire_locks():
            self._scheduler.enqueue_scheduled_jobs()

    def sweep(self) -> None:
        """Queue again what waits in an intermediate queue since the last sweep: its worker died before it began.

        A job that a slow worker takes up after all runs twice; its window is settled once all the same.
        """
        waiting: set[str] = set()
        for queue in self._queues:
            queue.started_job_registry.cleanup()
            for job_id in queue.intermediate_queue.get_job_ids():
                waiting.add(job_id)
                if job_id in self._seen and self.put_back(queue, job_id):
                    log.warning("Job %s was taken by a worker that died: it is queued again.", job_id)
        self._seen = waiting

    def put_back(self, queue: Queue, job_id: str) -> bool:
        """Queue a job again that waits in the intermediate queue; false where somebody else was faster."""
        return bool(self._redis.eval(_PUT_BACK, 2, queue.intermediate_queue_key, queue.key, job_id))
