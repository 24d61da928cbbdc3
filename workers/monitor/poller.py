"""What Redis says beside the results: the sources, what waits for a worker, and the model that scores."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from dfd_core.conditions import SILENT_S, Condition
from dfd_core.errors import WireError
from dfd_core.queue import keys, records
from dfd_core.queue.bulk import BulkQueue
from dfd_core.queue.clock import RedisClock
from dfd_core.queue.streams import StreamRegistry
from dfd_core.streams import StreamSpec
from dfd_core.types import ModelInfo, StreamStatus
from workers.monitor.metrics import MonitorMetrics

FORGOTTEN_S = 3600.0  # sources that were silent for so long before the monitor came are of the past
ABANDONED_S = 86400.0  # so long a source counts as down whose ingest went without a word


@dataclass(slots=True)
class _Heard:
    """When a source last said something: by its clock, and by our monotonic one; `over_s`: since when it is over."""

    heartbeat_at_s: float
    at_s: float
    over_s: float | None = None


class Overview:
    """Looked at every half second, in as many round trips however many streams; of other versions nothing is taken.

    A source that is over, or whose status is gone, is forgotten `forget_s` seconds later: `forgotten` names those of
    the last look. `clock` gives monotonic seconds, `unix` seconds that may be set by an hour either way (default: those
    of Redis).
    """

    def __init__(
        self,
        client: Redis,
        metrics: MonitorMetrics,
        forget_s: float = 600.0,
        clock: Callable[[], float] = time.monotonic,
        unix: Callable[[], float] | None = None,
    ) -> None:
        self._client, self._metrics, self._forget_s = client, metrics, forget_s
        self._server = RedisClock(client)
        self._clock, self._unix = clock, unix or self._server.now_s
        self._bulk, self._registry = BulkQueue(client), StreamRegistry(client)
        self._heard: dict[str, _Heard] = {}
        self._gone: dict[str, float] = {}  # known streams without a status, since when
        self.specs: dict[str, StreamSpec] = {}  # what is wished for, by stream
        self.statuses: dict[str, StreamStatus] = {}
        self.waiting: dict[str, int] = {}  # windows that wait for a worker, by stream
        self.silent: set[str] = set()
        self.forgotten: list[str] = []
        self.model: ModelInfo | None = None

    def look(self, others: Sequence[str] = ()) -> None:
        """Read all of it and bring it to the metrics; raises RedisError. `others`: streams known from elsewhere."""
        self._server.look()
        with self._client.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.STREAMS_KEY)
            pipe.get(keys.MODEL_KEY)
            pipe.smembers(WORKERS_BY_QUEUE_KEY % keys.LIVE_QUEUE)  # a killed one stays, without a key
            pipe.info("memory")
            pipe.get(keys.POISON_COUNT_KEY)
            stored, model, workers, memory, poison = pipe.execute()
        self.specs = self._registry.look().specs
        now_s = self._clock()
        found = self._current(stored, now_s)
        self._look_closer(found, workers, memory)
        self._forget(found, others, now_s)
        current = {name: self.statuses[name] for name in found if name in self.statuses}
        self._metrics.streams(self.specs, current, self.silent)
        self._take_model(model)
        self._metrics.poison(int(poison or 0))

    def now_s(self) -> float:
        """Unix seconds, as all machines of the system count them."""
        return self._unix()

    def _current(self, stored: dict[bytes, bytes], now_s: float) -> dict[str, StreamStatus]:
        """The statuses that are not of the past."""
        found: dict[str, StreamStatus] = {}
        names: set[str] = set()
        for data in stored.values():
            try:
                status = records.parse_status(data)
            except WireError:
                continue
            names.add(status.stream)
            if self._note(status, now_s) or status.stream in self.statuses:
                found[status.stream] = status
        self._heard = {stream: heard for stream, heard in self._heard.items() if stream in names}
        return found

    def _note(self, status: StreamStatus, now_s: float) -> bool:
        """Note a sign of life; whether the source is of the present.

        It is its heartbeat moving on that counts, as often as it does: its clock may be set, or wrong for good.
        """
        heard = self._heard.get(status.stream)
        age_s = self._unix() - status.heartbeat_at_s
        if heard is None or (status.heartbeat_at_s != heard.heartbeat_at_s):
            moved_on = heard is not None and 0 < status.heartbeat_at_s - heard.heartbeat_at_s <= SILENT_S
            at_s = now_s if moved_on else now_s - max(0.0, age_s)
            over_s = None if heard is None else heard.over_s
            heard = self._heard[status.stream] = _Heard(status.heartbeat_at_s, at_s, over_s)
        waits = status.condition is Condition.PAUSED and status.stream in self.specs
        if not status.over or waits:
            heard.over_s = None
        elif heard.over_s is None:
            heard.over_s = now_s
        return now_s - heard.at_s < FORGOTTEN_S

    def _look_closer(self, found: dict[str, StreamStatus], workers: set[bytes], memory: dict[str, Any]) -> None:
        with self._client.pipeline(transaction=False) as pipe:
            for stream in found:
                pipe.zcard(keys.pending_key(stream))
                pipe.zrange(keys.pending_key(stream), 0, 0, withscores=True)
            if workers:
                pipe.exists(*workers)
            replies = pipe.execute()
        alive = replies.pop() if workers else 0
        for status, waiting, oldest in zip(found.values(), replies[::2], replies[1::2], strict=True):
            self._take(status, waiting, oldest)
        self._metrics.bulk(self._bulk.counts())
        self._metrics.fleet(alive, memory["used_memory"], memory.get("maxmemory", 0))

    def _take(self, status: StreamStatus, waiting: int, oldest: list[tuple[bytes, float]]) -> None:
        stream, heard = status.stream, self._clock() - self._heard[status.stream].at_s < SILENT_S
        self.statuses[stream], self.waiting[stream] = status, waiting
        self.silent.discard(stream)
        if not heard:
            self.silent.add(stream)
        self._metrics.source(status, heard)
        self._metrics.queue(stream, waiting, max(0.0, self._unix() - oldest[0][1]) if oldest else 0.0)

    def _forget(self, found: dict[str, StreamStatus], others: Sequence[str], now_s: float) -> None:
        known = {*self.statuses, *others}
        self._gone = {stream: self._gone.get(stream, now_s) for stream in known if stream not in found}
        self.forgotten = [stream for stream, since_s in self._gone.items() if now_s - since_s >= self._forget_s]
        for stream in self._gone:
            self._metrics.gone(stream)
        ended = [stream for stream, heard in self._heard.items() if self._is_past(heard, now_s)]
        if ended:
            self._client.hdel(keys.STREAMS_KEY, *ended)
        self.forgotten += ended
        for stream in self.forgotten:
            self.statuses.pop(stream, None)
            self.waiting.pop(stream, None)
            self.silent.discard(stream)

    def _is_past(self, heard: _Heard, now_s: float) -> bool:
        over = heard.over_s is not None and now_s - heard.over_s >= self._forget_s
        return over or now_s - heard.at_s >= ABANDONED_S

    def _take_model(self, text: bytes | None) -> None:
        try:
            model = records.parse_model(text) if text else None
        except WireError:
            return
        if model is not None and model != self.model:
            self.model = model
            self._metrics.model(model)
