"""Lets whoever reads a live stream hand its windows on without waiting for Redis, however long that is silent."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque

from dfd_core.conditions import CalmNote
from dfd_core.queue.clock import RedisClock
from dfd_core.types import Window
from ingest.publisher import Publisher

KEPT = 4  # windows that wait to be published; of more the oldest is dropped
END_S = 30.0  # that the last ones are waited for
NOTE_S, OLD_S = 0.2, 1.0  # how often the monitor's word is read, where one asks for it, and how long it holds


class Outbox:
    """A live stream's `Publisher`, as its pump sees it: the windows are published by a thread of its own.

    So faces are followed while Redis is away, and one that was thought fake before is still the same one after it.
    """

    waiting = False

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._windows: deque[tuple[Window, bool]] = deque()  # and whether it is left out
        self._news = threading.Condition()
        self._asks = self._ended = False
        self._note: CalmNote | None = None
        self._noted_s = -math.inf
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._publish_all, name="outbox", daemon=True)
        self._thread.start()
        self.last_seq = -1

    @property
    def run(self) -> str:
        """As `Publisher.run`."""
        return self._publisher.run

    @property
    def clock(self) -> RedisClock:
        """As `Publisher.clock`."""
        return self._publisher.clock

    @property
    def dropped(self) -> Counter[str]:
        """As `Publisher.dropped`."""
        return self._publisher.dropped

    def publish(self, window: Window) -> None:
        """Hand a window on; raises what the publisher raised before, but never for a Redis that is away."""
        self._hand_on(window, left_out=False)

    def leave_out(self, window: Window) -> None:
        """As `Publisher.leave_out`, in its turn."""
        self._hand_on(window, left_out=True)

    def calm_note(self) -> CalmNote | None:
        """As `Publisher.calm_note`, a moment ago; None where that is not known."""
        with self._news:
            self._asks = True
            self._news.notify()
            return self._note if time.monotonic() - self._noted_s <= OLD_S else None

    def end(self, reason: str | None) -> None:
        """Publish what waits, then as `Publisher.end`."""
        with self._news:
            self._ended = True
            self._news.notify()
        self._thread.join(END_S)
        self._publisher.end(reason)
        if self._error is not None:
            raise self._error

    def _hand_on(self, window: Window, *, left_out: bool) -> None:
        if self._error is not None:
            raise self._error
        oldest = None
        with self._news:
            self.last_seq = window.seq
            self._windows.append((window, left_out))
            if len(self._windows) > KEPT:
                oldest, _ = self._windows.popleft()
            self._news.notify()
        if oldest is not None:
            self._publisher.miss(oldest)

    def _publish_all(self) -> None:
        try:
            while not (self._ended and not self._windows):
                self._take()
                self._ask()
        except Exception as error:  # noqa: BLE001  (raised again in the pump's thread)
            self._error = error

    def _take(self) -> None:
        """Publish the next window, as soon as there is one, or it is time to ask."""
        with self._news:
            self._news.wait_for(lambda: self._windows or self._ended or self._due, NOTE_S if self._asks else None)
            if not self._windows:
                return
            window, left_out = self._windows.popleft()
        (self._publisher.leave_out if left_out else self._publisher.publish)(window)

    def _ask(self) -> None:
        if self._due:
            note, noted_s = self._publisher.calm_note(), time.monotonic()
            with self._news:
                self._note, self._noted_s = note, noted_s

    @property
    def _due(self) -> bool:
        return self._asks and time.monotonic() - self._noted_s >= NOTE_S
