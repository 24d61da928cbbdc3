"""Newest first: a thread that drains a live stream, so that a slow consumer misses frames and never lags behind."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator

from dfd_core.types import Frame

BACKLOG_S = 1.0  # frames that have waited for longer than this are dropped once others come
BURST_S = 2.0  # so much may come all at once, after the reading thread was held up
BACKLOG_BYTES = 100_000_000  # more than that waits only where it is a single frame
_JOIN_S = 1.0  # a thread that FFmpeg holds for longer is left behind; it ends by its timeout and never blocks an exit

Produce = Callable[[threading.Event], Iterator[Frame]]


class NewestFrames:
    """Iterates over what `produce(stop)` yields in a thread; `dropped` counts what came too fast.

    The backlog holds `BURST_S` of frames at `fps`; a full one loses its oldest, and any loses those that have waited
    for `BACKLOG_S`. Closing the iterator sets `stop`.
    """

    def __init__(self, produce: Produce, fps: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.dropped = 0
        self._produce, self._clock = produce, clock
        self._waiting: deque[tuple[float, Frame]] = deque()  # with the time since when
        self._most = max(1, round(BURST_S * fps))
        self._stop = threading.Event()
        self._news = threading.Condition()
        self._ended = False
        self._error: Exception | None = None

    def __iter__(self) -> Generator[Frame, None, None]:
        thread = threading.Thread(target=self._drain, name="dfd-drain", daemon=True)
        thread.start()
        try:
            while (frame := self._next()) is not None:
                yield frame
        finally:
            self._stop.set()
            thread.join(_JOIN_S)
        if self._error is not None:
            raise self._error

    def _next(self) -> Frame | None:
        with self._news:
            self._news.wait_for(lambda: self._waiting or self._ended)
            return self._waiting.popleft()[1] if self._waiting else None

    def _drain(self) -> None:
        try:
            for frame in self._produce(self._stop):
                if self._stop.is_set():
                    break
                self._put(frame)
        except Exception as error:  # noqa: BLE001  (raised again in the consumer's thread)
            self._error = error
        with self._news:
            self._ended = True
            self._news.notify()

    def _put(self, frame: Frame) -> None:
        with self._news:
            self._waiting.append((self._clock(), frame))
            while self._is_too_much():
                self._waiting.popleft()
                self.dropped += 1
            self._news.notify()

    def _is_too_much(self) -> bool:
        if len(self._waiting) < 2:
            return False
        waits_s = self._waiting[-1][0] - self._waiting[0][0]
        size = sum(frame.image.nbytes for _, frame in self._waiting)
        return waits_s > BACKLOG_S or len(self._waiting) > self._most or size > BACKLOG_BYTES
