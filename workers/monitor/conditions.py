"""What the sources show, as metrics that are made when they are scraped: a stream that is forgotten leaves none."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dfd_core.conditions import SILENT_S, Condition, as_seen
from dfd_core.streams import StreamSpec
from dfd_core.types import StreamStatus

MOST_LABELS = 16  # names of labels of all streams together; those of more are left out


class ConditionCollector(Collector):
    """Serves the condition of each stream, and the labels that its operator gave it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._specs: list[StreamSpec] = []
        self._statuses: list[StreamStatus] = []
        self._silent: frozenset[str] = frozenset()
        registry.register(self)

    def take(
        self, specs: Mapping[str, StreamSpec], statuses: Mapping[str, StreamStatus], silent: Collection[str]
    ) -> None:
        """Serve these from now on; nothing was heard lately of those in `silent`."""
        self._specs, self._statuses = list(specs.values()), list(statuses.values())
        self._silent = frozenset(silent)

    def collect(self) -> Iterator[Metric]:
        """Three families."""
        what = "1 for what the stream shows, 0 for all else: " + ", ".join(Condition)
        state = GaugeMetricFamily("dfd_stream_state", what, labels=["stream", "state"])
        since = GaugeMetricFamily(
            "dfd_stream_state_since_timestamp_seconds", "Unix time since which it shows that", labels=["stream"]
        )
        for stream, (condition, since_at_s) in self._seen().items():
            for other in Condition:
                state.add_metric([stream, other], float(other is condition))
            if since_at_s is not None:
                since.add_metric([stream], since_at_s)
        yield from (state, since, self._info())

    def _seen(self) -> dict[str, tuple[Condition, float | None]]:
        seen: dict[str, tuple[Condition, float | None]] = {}
        for status in self._statuses:
            heard_at_s = status.heartbeat_at_s
            now_s = heard_at_s + (2 * SILENT_S if status.stream in self._silent else 0.0)
            seen[status.stream] = as_seen(status.condition, status.since_at_s, heard_at_s, now_s)
        unread = [spec.name for spec in self._specs if spec.added and spec.name not in seen]
        return seen | dict.fromkeys(unread, (Condition.OFFLINE, None))

    def _info(self) -> GaugeMetricFamily:
        names = sorted({name for spec in self._specs for name in spec.labels})[:MOST_LABELS]
        what = "1; carries the labels of the stream's table, to join others with"
        info = GaugeMetricFamily("dfd_stream_info", what, labels=["stream", *names])
        for spec in self._specs:
            info.add_metric([spec.name, *(spec.labels.get(name, "") for name in names)], 1.0)
        return info
