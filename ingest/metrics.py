"""The statuses of the sources as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dfd_core.types import StreamState, StreamStatus


class StreamCollector(Collector):
    """Makes metrics of what `statuses()` returns when it is scraped; labels carry stream ids, never URLs."""

    def __init__(self, statuses: Callable[[], Iterable[StreamStatus]], registry: CollectorRegistry) -> None:
        self._statuses = statuses
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The families, one sample a stream."""
        up = GaugeMetricFamily(
            "dfd_stream_up", "1 while frames come; absent once a source ended as it should.", labels=["stream"]
        )
        last = GaugeMetricFamily(
            "dfd_stream_last_frame_timestamp_seconds", "Unix time of the last frame.", labels=["stream"]
        )
        fps = GaugeMetricFamily("dfd_stream_frames_per_second", "Sampled frames a second.", labels=["stream"])
        frames = CounterMetricFamily("dfd_frames", "Sampled frames.", labels=["stream"])
        dropped = CounterMetricFamily("dfd_frames_dropped", "Frames never scored.", labels=["stream", "reason"])
        reconnects = CounterMetricFamily("dfd_stream_reconnects", "Lost streams opened again.", labels=["stream"])
        drift = GaugeMetricFamily(
            "dfd_stream_clock_drift_seconds", "How far its stamps went ahead of our clock.", labels=["stream"]
        )
        for status in self._statuses():
            name = [status.stream]
            if not status.over:
                up.add_metric(name, float(status.state is StreamState.LIVE))
            if status.live and not status.over and status.last_frame_at_s is not None:
                last.add_metric(name, status.last_frame_at_s)
            fps.add_metric(name, status.fps)
            frames.add_metric(name, status.frames)
            reconnects.add_metric(name, status.reconnects)
            drift.add_metric(name, status.clock_drift_s)
            for reason, count in status.dropped.items():
                dropped.add_metric([status.stream, reason], count)
        yield from (up, last, fps, frames, dropped, reconnects, drift)
