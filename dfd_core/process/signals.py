"""SIGINT and SIGTERM become an event that a loop waits for."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop(threading.Event):
    """An event that a signal handler may set: it takes no lock, which the interrupted thread might hold."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = False
        self._hearing, self._saying = os.pipe()

    def set(self) -> None:
        """Wake who waits."""
        if not self._asked:
            self._asked = True
            os.write(self._saying, b"\0")

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._asked

    def wait(self, timeout: float | None = None) -> bool:
        """Until it is set, for `timeout` seconds at most; whether it is."""
        if not self._asked:
            select.select([self._hearing], [], [], timeout)
        return self._asked

    def fileno(self) -> int:
        """A file descriptor that can be read once it is set, for who waits on others too."""
        return self._hearing

    def close(self) -> None:
        """Let go of what it waits on."""
        os.close(self._hearing)
        os.close(self._saying)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """An event that SIGINT and SIGTERM set while the context lasts; for the main thread only."""
    stop = Stop()

    def request(signum: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stop.close()
