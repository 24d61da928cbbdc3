"""What Redis says beside the results: the sources, what waits for a worker, and the model that scores."""

from __future__ import annotations

import time
from typing import Any

from redis import Redis
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from dfd_core.errors import WireError
from dfd_core.queue import keys, records
from dfd_core.queue.bulk import BulkQueue
from dfd_core.queue.streams import StreamRegistry
from dfd_core.streams import StreamSpec
from dfd_core.types import ModelInfo, StreamStatus
from workers.monitor.metrics import MonitorMetrics

FORGOTTEN_S = 3600.0  # sources that were silent for so long before the monitor came are of the past


class Overview:
    """Looked at every half second; records of another version of dfd are passed over."""

    def __init__(self, client: Redis, metrics: MonitorMetrics) -> None:
        self._client, self._metrics = client, metrics
        self._bulk, self._registry = BulkQueue(client), StreamRegistry(client)
        self.specs: dict[str, StreamSpec] = {}  # what is wished for, by stream
        self.statuses: dict[str, StreamStatus] = {}
        self.waiting: dict[str, int] = {}  # windows that wait for a worker, by stream
        self.model: ModelInfo | None = None

    def look(self) -> None:
        """Read all of it and bring it to the metrics; raises RedisError."""
        now_s = time.time()
        self.specs = self._registry.look().specs
        statuses: Any = self._client.hgetall(keys.STREAMS_KEY)
        for data in statuses.values():
            try:
                status = records.parse_status(data)
            except WireError:
                continue
            if status.stream in self.statuses or now_s - status.heartbeat_at_s < FORGOTTEN_S:
                self._look_at_source(status, now_s)
        self._metrics.streams(self.specs, self.statuses)
        self._look_at_fleet()
        text: Any = self._client.get(keys.MODEL_KEY)
        try:
            model = records.parse_model(text) if text else None
        except WireError:
            return
        if model is not None and model != self.model:
            self.model = model
            self._metrics.model(model)

    def _look_at_fleet(self) -> None:
        workers = self._client.smembers(WORKERS_BY_QUEUE_KEY % keys.LIVE_QUEUE)  # a killed one stays, without a key
        memory = self._client.info("memory")
        self._metrics.bulk(self._bulk.counts())
        self._metrics.fleet(
            self._client.exists(*workers) if workers else 0, memory["used_memory"], memory.get("maxmemory", 0)
        )

    def _look_at_source(self, status: StreamStatus, now_s: float) -> None:
        key = keys.pending_key(status.stream)
        oldest: list[Any] = self._client.zrange(key, 0, 0, withscores=True)
        self.statuses[status.stream] = status
        self.waiting[status.stream] = int(self._client.zcard(key))
        self._metrics.source(status)
        self._metrics.queue(
            status.stream, self.waiting[status.stream], max(0.0, now_s - oldest[0][1]) if oldest else 0.0
        )
