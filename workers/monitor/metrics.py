"""What the monitor serves at /metrics; labels are stream ids, never URLs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from dfd_core.conditions import Condition
from dfd_core.queue.submitted import BulkState
from dfd_core.streams import StreamSpec
from dfd_core.types import ModelInfo, Outcome, StreamState, StreamStatus, Verdict, WindowResult
from workers.monitor.conditions import ConditionCollector

MISSING = "missing"  # outcome of a window of which nobody ever heard
_LATENCY_BUCKETS = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300)
_CANARY_BUCKETS = (1, 1.5, 2, 2.5, 3, 4, 5, 7, 10, 15, 20, 30, 60)
_SCORE_BUCKETS = tuple(round(0.05 * step, 2) for step in range(1, 21))


class MonitorMetrics:
    """Every metric of the monitor, in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Counters of the sources are theirs: they go on from what each run has counted so far."""
        by_stream: dict[str, Any] = {"labelnames": ["stream"], "registry": registry}
        by_reason: dict[str, Any] = {"labelnames": ["stream", "reason"], "registry": registry}
        self._windows = Counter(
            "dfd_windows", "Windows by what became of them", ["stream", "outcome"], registry=registry
        )
        self._abstentions = Counter("dfd_abstentions", "Windows that could not be scored, by reason", **by_reason)
        self._score = Histogram("dfd_fake_probability", "Of each scored face", buckets=_SCORE_BUCKETS, **by_stream)
        self._latency = Histogram(
            "dfd_window_latency_seconds",
            "From the capture of a window's last frame to its verdict",
            buckets=_LATENCY_BUCKETS,
            **by_stream,
        )
        self._alarm = Gauge("dfd_alarm_active", "1 while a face of the stream counts as fake", **by_stream)
        self._alarms = Counter("dfd_alarms", "Alarms that began", **by_stream)
        self._alarm_details = {
            "track": Gauge("dfd_alarm_track", "Face that is most likely fake, while an alarm lasts", **by_stream),
            "since_s": Gauge("dfd_alarm_since_seconds", "Media time from which it is, likewise", **by_stream),
            "fake_probability": Gauge("dfd_alarm_fake_probability", "Its newest probability, likewise", **by_stream),
        }
        self._canary_s = Histogram(
            "dfd_canary_detection_seconds",
            "From when a canary turned fake to its alarm",
            buckets=_CANARY_BUCKETS,
            **by_stream,
        )
        self._canary_missed = Counter("dfd_canary_missed", "Fakes of a canary that raised no alarm", **by_stream)
        self._tell_of_sources(by_stream, by_reason)
        self._tell_of_all(registry)
        self._by_stream = [value for value in vars(self).values() if "stream" in getattr(value, "_labelnames", ())]
        self._by_stream += self._alarm_details.values()
        self._counted: dict[str, dict[str, tuple[str, int]]] = {}  # stream -> counter -> run and its last count

    def _tell_of_sources(self, by_stream: dict[str, Any], by_reason: dict[str, Any]) -> None:
        self._last_frame = Gauge(
            "dfd_stream_last_frame_timestamp_seconds",
            "Unix time of the last frame that was looked at; of live sources",
            **by_stream,
        )
        self._up = Gauge("dfd_stream_up", "1 while frames come; absent once a source ended as it should", **by_stream)
        self._fps = Gauge("dfd_stream_frames_per_second", "Frames that are looked at", **by_stream)
        self._dropped = Counter("dfd_frames_dropped", "Frames that nobody looked at", **by_reason)
        self._reconnects = Counter("dfd_stream_reconnects", "Times that a live source was opened again", **by_stream)
        self._drift = Gauge("dfd_stream_clock_drift_seconds", "How far its stamps went ahead of our clock", **by_stream)
        self._calm = Gauge("dfd_stream_calm", "1 while a calm live stream is scored at a lower rate", **by_stream)
        self._queue = Gauge("dfd_queue_windows", "Windows that wait for a worker", **by_stream)
        self._oldest = Gauge("dfd_oldest_window_age_seconds", "Age of the one that waits longest", **by_stream)

    def _tell_of_all(self, registry: CollectorRegistry) -> None:
        self._model = Gauge("dfd_model_info", "What the workers score with", ["name", "runtime"], registry=registry)
        self._workers = Gauge("dfd_workers", "Workers of windows that are alive", registry=registry)
        self._bulk = Gauge("dfd_bulk_files", "Files of the bulk queue by state", ["state"], registry=registry)
        self._redis_used = Gauge("dfd_redis_used_bytes", "Memory that Redis uses", registry=registry)
        self._redis_limit = Gauge("dfd_redis_limit_bytes", "Its maxmemory; 0: none", registry=registry)
        self._poison = Counter(
            "dfd_poison_windows", "Windows that were set aside: no worker survives them", registry=registry
        )
        self._poisoned = 0  # of which that many were counted
        self._redis_up = Gauge(
            "dfd_redis_up", "1 while Redis answers and takes; what it tells is absent or 0 meanwhile", registry=registry
        )
        self._active = Gauge("dfd_monitor_active", "1 while this monitor works; 0: another one does", registry=registry)
        self._told = Counter(
            "dfd_sink_notices", "Verdicts for others, by what became of them", ["sink", "outcome"], registry=registry
        )
        self._conditions = ConditionCollector(registry)

    def canary(self, stream: str, detected_s: float | None, missed: int) -> None:
        """Count what became of a canary's fakes: one was found after so many seconds, so many were not."""
        self._canary_missed.labels(stream).inc(missed)
        found = self._canary_s.labels(stream)
        if detected_s is not None:
            found.observe(detected_s)

    def told(self, sink: str, outcome: str) -> None:
        """Count a notice that was on its way to somebody outside."""
        self._told.labels(sink, outcome).inc()

    def window(self, result: WindowResult, now_unix_s: float) -> None:
        """Count one result at the moment of its verdict."""
        self._windows.labels(result.stream, result.outcome.value).inc()
        if result.outcome is Outcome.NOT_SCORABLE and result.reason:
            self._abstentions.labels(result.stream, result.reason.partition(":")[0]).inc()  # "too small: the face ..."
        scored = [score.fake_probability for score in result.scores if score.fake_probability is not None]
        for probability in scored:
            self._score.labels(result.stream).observe(probability)
        if scored:
            self._latency.labels(result.stream).observe(max(0.0, now_unix_s - result.captured_at_s))

    def missing(self, stream: str) -> None:
        """Count a window that never came."""
        self._windows.labels(stream, MISSING).inc()

    def alarm_began(self, stream: str) -> None:
        """Count an alarm."""
        self._alarms.labels(stream).inc()

    def alarm(self, stream: str, verdict: Verdict | None) -> None:
        """Say whether one lasts: the verdict of the worst face while it does."""
        self._alarm.labels(stream).set(verdict is not None)
        self._alarms.labels(stream)  # there, as zero, before the first
        for name, gauge in self._alarm_details.items():
            if verdict is None:
                _forget(gauge, stream)
            else:
                gauge.labels(stream).set(getattr(verdict, name) or 0.0)

    def poison(self, count: int) -> None:
        """How many windows were ever set aside; less than before where Redis was emptied."""
        self._poison.inc(count - self._poisoned if count >= self._poisoned else count)
        self._poisoned = count

    def redis(self, up: bool) -> None:
        """Whether it answers; while it does not, nothing is told of what it knew."""
        self._redis_up.set(up)
        if not up:
            for gauge in (self._up, self._fps, self._calm, self._queue, self._oldest, self._bulk):
                gauge.clear()
            for gauge in (self._workers, self._redis_used, self._redis_limit):
                gauge.set(0)
            self.streams({}, {}, ())

    def active(self, active: bool) -> None:
        """Whether this monitor works; one that waits for another to end tells nothing of any stream."""
        self._active.set(active)
        if not active:
            for metric in self._by_stream:
                metric.clear()
            self._counted.clear()
            self.streams({}, {}, ())

    def gone(self, stream: str) -> None:
        """Nobody tells of a source any more: what it did is no news."""
        for gauge in (self._up, self._fps, self._calm, self._queue, self._oldest, self._last_frame):
            _forget(gauge, stream)

    def forget(self, stream: str) -> None:
        """Serve nothing of a stream that is over any more."""
        for metric in self._by_stream:
            if metric._labelnames == ("stream",):
                _forget(metric, stream)
            else:
                metric.remove_by_labels({"stream": stream})
        self._counted.pop(stream, None)

    def source(self, status: StreamStatus, heard: bool) -> None:
        """Take over what ingest says of a source; `heard`: it has said something lately."""
        stream = status.stream
        if status.over or not status.live:  # a file waits for room, a folder for files
            _forget(self._last_frame, stream)
        elif status.last_frame_at_s is not None:
            self._last_frame.labels(stream).set(status.last_frame_at_s)
        if status.over:
            _forget(self._up, stream)
        else:
            self._up.labels(stream).set(
                heard and status.state is StreamState.LIVE and status.condition is not Condition.STALLED
            )
        self._fps.labels(stream).set(status.fps if heard else 0.0)
        if status.live:
            self._drift.labels(stream).set(status.clock_drift_s)
            self._calm.labels(stream).set(heard and status.calm and not status.over)
        for reason, count in status.dropped.items():
            self._dropped.labels(stream, reason).inc(self._growth(stream, f"dropped {reason}", status.run, count))
        self._reconnects.labels(stream).inc(self._growth(stream, "reconnects", status.run, status.reconnects))

    def streams(
        self, specs: Mapping[str, StreamSpec], statuses: Mapping[str, StreamStatus], silent: Collection[str]
    ) -> None:
        """What is wished for, and what is read, by stream; of those in `silent` nothing was heard lately."""
        self._conditions.take(specs, statuses, silent)

    def queue(self, stream: str, windows: int, oldest_age_s: float) -> None:
        """What waits for a worker."""
        self._queue.labels(stream).set(windows)
        self._oldest.labels(stream).set(oldest_age_s)

    def bulk(self, counts: Mapping[BulkState, int]) -> None:
        """How many submitted files are in each state."""
        for state, count in counts.items():
            self._bulk.labels(state).set(count)

    def fleet(self, workers: int, redis_used_bytes: int, redis_limit_bytes: int) -> None:
        """Who works, and how full Redis is."""
        self._workers.set(workers)
        self._redis_used.set(redis_used_bytes)
        self._redis_limit.set(redis_limit_bytes)

    def model(self, model: ModelInfo) -> None:
        """What the workers score with; only the newest is shown."""
        self._model.clear()
        self._model.labels(model.name, model.runtime).set(1)

    def _growth(self, stream: str, counter: str, run: str, count: int) -> int:
        counted = self._counted.setdefault(stream, {})
        before_run, before = counted.get(counter, ("", 0))
        counted[counter] = (run, count)
        return max(0, count - before) if run == before_run else count


def _forget(metric: Any, stream: str) -> None:
    """Serve no value of `stream` any more."""
    with suppress(KeyError):
        metric.remove(stream)
