"""What all pages show, read once a second for all of them, and only while somebody looks."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from dfd_core.errors import WireError
from dfd_core.queue import keys, records
from dfd_core.queue.alarms import Alarm, AlarmState
from dfd_core.queue.kept import latest_scenes, latest_segments, watch
from dfd_core.types import Segment, WindowEvent
from workers.serve.parts import Parts
from workers.serve.schemas import StreamOut
from workers.serve.streams import streams

SPAN_S = 120.0  # of the curves
LOOK_S = 1.0  # between two looks, where no alarm begins or ends meanwhile
SHORTEST_S = 0.1
IDLE_S = 20.0  # without a page that asks, nothing is read
BATCH = 2000
POINTS = 400  # of a face
ALARMS = 20

log = logging.getLogger(__name__)

Curve = list[tuple[float, float]]  # Unix seconds of capture, probability


@dataclass(frozen=True, slots=True)
class Sight:
    """`curves` by stream and track; `error`: why nothing newer is known, else empty."""

    streams: list[StreamOut] = field(default_factory=list)
    open_alarms: list[Alarm] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    curves: dict[str, dict[int, Curve]] = field(default_factory=dict)
    segments: dict[str, Segment] = field(default_factory=dict)
    scenes: dict[str, bytes] = field(default_factory=dict)
    error: str = ""
    at_s: float = 0.0


class Wall(threading.Thread):
    """Reads Redis on a connection of its own; `sight` is the newest, made anew each second."""

    def __init__(self, parts: Parts, client: Redis) -> None:
        super().__init__(name="wall", daemon=True)
        self._parts, self._client = parts, client
        self._curves: dict[tuple[str, int], deque[tuple[float, float]]] = {}
        self._cursor: str | None = None
        self._news: str | None = None
        self._asked_s = float("-inf")
        self._over = threading.Event()
        self.sight = Sight()

    def asked(self) -> Sight:
        """The newest sight, and go on looking."""
        self._asked_s = time.monotonic()
        return self.sight

    def run(self) -> None:
        """Look while somebody asks."""
        while not self._over.wait(SHORTEST_S):
            if not self._watched:
                self._cursor = self._news = None
                continue
            try:
                self._await_news()
                self.sight = self._look()
            except (RedisError, WireError) as error:
                log.debug("The console sees nothing: %s", error)
                self.sight = replace(self.sight, error="Redis does not answer.")
                self._over.wait(LOOK_S)

    def stop(self) -> None:
        """End it."""
        self._over.set()
        if self.is_alive():
            self.join(5)
        self._client.close()

    @property
    def _watched(self) -> bool:
        return time.monotonic() - self._asked_s < IDLE_S

    def _await_news(self) -> None:
        """Return when an alarm begins, ends or is judged, or a second has passed; the first time, at once."""
        if self._news is None:
            newest: Any = self._client.xrevrange(keys.ALARM_NEWS_KEY, count=1)
            self._news = newest[0][0].decode() if newest else "0-0"
            return
        reply: Any = self._client.xread({keys.ALARM_NEWS_KEY: self._news}, block=round(LOOK_S * 1000))
        if reply:
            self._news = reply[0][1][-1][0].decode()

    def _look(self) -> Sight:
        watch(self._client)
        self._read()
        seen = streams(self._parts)
        names = [stream.name for stream in seen]
        book = self._parts.alarms
        curves: dict[str, dict[int, Curve]] = {}
        since_s = time.time() - SPAN_S
        for (stream, track), points in list(self._curves.items()):
            while points and points[0][0] < since_s:
                points.popleft()
            if points:
                curves.setdefault(stream, {})[track] = list(points)
            else:
                del self._curves[stream, track]
        return Sight(
            streams=seen,
            open_alarms=book.find(state=AlarmState.OPEN, limit=ALARMS),
            alarms=book.find(limit=ALARMS),
            curves=curves,
            segments=latest_segments(self._client, names),
            scenes=latest_scenes(self._client, names),
            at_s=time.time(),
        )

    def _read(self) -> None:
        """Take the results that are new; at first, those of the last two minutes."""
        if self._cursor is None:
            self._curves.clear()
            self._cursor = f"{int((time.time() - SPAN_S) * 1000)}-0"
        while True:
            reply: Any = self._client.xread({keys.RESULTS_KEY: self._cursor}, count=BATCH)
            entries = reply[0][1] if reply else []
            for entry_id, fields in entries:
                self._cursor = entry_id.decode()
                self._note(fields)
            if len(entries) < BATCH:
                return

    def _note(self, fields: Mapping[bytes, bytes]) -> None:
        try:
            event = records.parse_event(fields)
        except WireError:
            return  # the monitor tells of it
        if isinstance(event, WindowEvent):
            for score in event.result.scores:
                if score.fake_probability is not None:
                    curve = self._curves.setdefault((event.stream, score.track), deque(maxlen=POINTS))
                    curve.append((score.captured_at_s, score.fake_probability))
