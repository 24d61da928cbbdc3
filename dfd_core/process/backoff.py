"""Pauses before the next attempt: one policy for connections, and one for processes that died."""

from __future__ import annotations

import random
import time


class Backoff:
    """Pauses of `first_s` and then twice as long each time, up to `longest_s`.

    With `jitter`, in [0, 1), each is shorter by a random part up to that: so many who wait do not knock all at once.
    """

    def __init__(self, first_s: float, longest_s: float, jitter: float = 0.0) -> None:
        self._first_s, self._longest_s, self._jitter = min(first_s, longest_s), longest_s, jitter
        self._next_s = self._first_s

    def next_s(self) -> float:
        """Seconds to wait now."""
        pause_s, self._next_s = self._next_s, min(self._longest_s, 2 * self._next_s)
        return pause_s * random.uniform(1 - self._jitter, 1.0)

    def reset(self) -> None:
        """Begin with the first pause again: something came through."""
        self._next_s = self._first_s


class Restarts:
    """When a process that died may be started again: soon, later each time it dies young, soon again after that.

    One that lived longer than `longest_s` did not die young; `deaths` counts those that did, one after the other.
    """

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._pauses, self._longest_s = Backoff(first_s, longest_s), longest_s
        self._began_at = self._due_at = time.monotonic()
        self.deaths = 0

    @property
    def due(self) -> bool:
        """Whether the pause is over."""
        return time.monotonic() >= self._due_at

    def began(self) -> None:
        """The process starts now."""
        self._began_at = time.monotonic()

    def ended(self) -> None:
        """It died now."""
        now = time.monotonic()
        if now - self._began_at > self._longest_s:
            self._pauses.reset()
            self.deaths = 0
        self.deaths += 1
        self._due_at = now + self._pauses.next_s()
