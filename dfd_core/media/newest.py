"""Newest first: a thread that drains a live stream, so that a slow consumer misses frames and never lags behind."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator

from dfd_core.types import Frame

BACKLOG_S = 0.5  # frames that wait for longer than this are dropped
_JOIN_S = 1.0  # a thread that FFmpeg holds for longer is left behind; it ends by its timeout and never blocks an exit

Produce = Callable[[threading.Event], Iterator[Frame]]


class NewestFrames:
    """Iterates over what `produce(stop)` yields in a thread; `dropped` counts what came too fast.

    The backlog holds `BACKLOG_S` of frames at `fps`; a full one loses its oldest. Closing the iterator sets `stop`.
    """

    def __init__(self, produce: Produce, fps: float) -> None:
        self.dropped = 0
        self._produce = produce
        self._waiting: deque[Frame] = deque()
        self._most = max(1, round(BACKLOG_S * fps))
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
            return self._waiting.popleft() if self._waiting else None

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
            if len(self._waiting) == self._most:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(frame)
            self._news.notify()
