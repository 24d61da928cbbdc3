"""Canaries: streams that turn fake on a schedule, so that it is known what should be found, and when.

A fake counts as found by the first alarm that begins while it lasts, or in the `GRACE_S` after it; else as missed. One
that is under way when its canary is first heard of does not count. An alarm that is open already when the fake begins
finds nothing: it would tell just as much without it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from dfd_core.streams import StreamSpec
from dfd_core.types import StreamStatus
from workers.monitor.metrics import MonitorMetrics
from workers.monitor.runs import Turn

GRACE_S = 10.0  # after a fake, for its alarm to come


@dataclass(slots=True)
class Canary:
    """One of them: fake for the last `fake_s` of each `every_s` of its media time."""

    every_s: float
    fake_s: float
    next: int = 0  # number of the fake that is waited for
    end_s: float = -math.inf  # media time of the last news
    heard_s: float = 0.0  # when that came, monotonic
    began_at_s: float = 0.0  # Unix time of media time 0

    def hear(self, end_s: float, captured_at_s: float, now_s: float) -> None:
        """A window that ends at media time `end_s` was told at monotonic time `now_s`, whatever it says."""
        if end_s < self.end_s or math.isinf(self.end_s):  # the first, or it began again
            self.next = max(0, math.ceil((end_s - self.every_s + self.fake_s) / self.every_s))
        self.end_s, self.heard_s, self.began_at_s = end_s, now_s, captured_at_s - end_s

    def alarm(self, now_at_s: float) -> float | None:
        """An alarm began: seconds from when the picture turned fake, of which it is the first; None: of another."""
        fake_s = self._turns_s
        if self.end_s < fake_s:
            return None
        self.next += 1
        return max(0.0, now_at_s - self.began_at_s - fake_s)

    def missed(self, now_s: float) -> int:
        """How many fakes have passed since the last call without an alarm; time goes on where nothing is heard."""
        media_s, missed = self.end_s + now_s - self.heard_s, 0
        while self._turns_s + self.fake_s + GRACE_S < media_s:
            self.next += 1
            missed += 1
        return missed

    @property
    def _turns_s(self) -> float:
        return (self.next + 1) * self.every_s - self.fake_s


class Canaries:
    """Those of one monitor, by stream; what becomes of their fakes goes to the metrics."""

    def __init__(self, metrics: MonitorMetrics) -> None:
        self._metrics = metrics
        self._known: dict[str, Canary] = {}

    def look(self, specs: Mapping[str, StreamSpec], statuses: Mapping[str, StreamStatus], now_s: float) -> None:
        """Which there are now: one that ended or was stopped misses nothing."""
        wanted = {name: spec.canary for name, spec in specs.items() if spec.canary is not None}
        over = {name for name, status in statuses.items() if status.over}
        for name, (every_s, fake_s) in wanted.items():
            known = self._known.get(name)
            if name not in over and (known is None or (known.every_s, known.fake_s) != (every_s, fake_s)):
                self._known[name] = Canary(every_s, fake_s)
                self._metrics.canary(name, None, 0)
        self._known = {name: canary for name, canary in self._known.items() if name in wanted and name not in over}
        for name, canary in self._known.items():
            self._metrics.canary(name, None, canary.missed(now_s))

    def take(self, turn: Turn, now_at_s: float, now_s: float) -> None:
        """What came of their windows; Unix and monotonic time."""
        for result in turn.results:
            canary = self._known.get(result.stream)
            if canary is not None:
                canary.hear(result.end_s, result.captured_at_s, now_s)
        for stream in turn.alarms:
            canary = self._known.get(stream)
            if canary is not None:
                self._metrics.canary(stream, canary.alarm(now_at_s), 0)
