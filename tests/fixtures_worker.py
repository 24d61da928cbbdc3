"""A publisher and a worker on one real Redis, in the test's own process."""

import threading
from functools import partial

from prometheus_client import CollectorRegistry

from dfd_core.queue import keys, records
from dfd_core.queue.broker import rq_queue
from dfd_core.settings import QueueSettings, Settings, WorkerSettings
from ingest.publisher import Publisher
from tests.standins import MeanScorer
from workers.fleet.worker import BatchWorker
from workers.windows.jobs import score_jobs
from workers.windows.metrics import WorkerMetrics
from workers.windows.scoring import BatchScorer


class Rig:
    """A publisher and a worker on one Redis, in this process."""

    def __init__(self, redis, scorer=None, **worker):
        self.redis = redis
        self.registry = CollectorRegistry()
        self.scorer = scorer or MeanScorer(Settings())
        self.settings = WorkerSettings(**worker)
        self.batch = BatchScorer(redis, self.scorer, QueueSettings(), WorkerMetrics(self.registry))

    def publish(self, all_windows, stream="cam", live=True):
        publisher = Publisher(self.redis, stream, live, Settings(), threading.Event())
        for window in all_windows:
            publisher.publish(window)
        return publisher

    def worker(self, name="w1", run_jobs=None, **options):
        queues = [rq_queue(self.redis, live=True), rq_queue(self.redis, live=False)]
        return BatchWorker(name, queues, run_jobs or partial(score_jobs, self.batch), self.settings, **options)

    def work(self):
        worker = self.worker()
        worker.work(burst=True, logging_level="ERROR")
        return worker

    def results(self):
        entries = [records.parse_event(entry) for _, entry in self.redis.xrange(keys.RESULTS_KEY)]
        return {(event.stream, event.result.seq): event.result for event in entries}, len(entries)

    def sample(self, name, **labels):
        return self.registry.get_sample_value(name, labels)
