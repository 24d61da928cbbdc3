"""Python functions in processes of their own: started again when they die, killed when they show no life in time."""

from __future__ import annotations

import logging
import math
import multiprocessing
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from typing import NamedTuple

from dfd_core.process.backoff import Restarts

SPAWN = multiprocessing.get_context("spawn")  # a fork would copy threads and locks of native libraries

log = logging.getLogger(__name__)


class Deadline:
    """By when a child must show life next, in memory that it shares with its parent; either side may set it.

    It has no lock, which a killed child could hold: when it begins is written before how long it lasts, and read after.
    """

    def __init__(self) -> None:
        self._since, self._allowed_s = SPAWN.RawValue("d", 0.0), SPAWN.RawValue("d", math.inf)

    def within(self, seconds: float) -> None:
        """Life is shown now, and must be again in so many seconds."""
        self._since.value = time.monotonic()
        self._allowed_s.value = seconds

    def lift(self) -> None:
        """Nothing is asked of the child: it may wait for as long as it likes."""
        self._allowed_s.value = math.inf

    @property
    def missed_s(self) -> float:
        """Seconds without life if those were too many, else 0."""
        allowed_s = float(self._allowed_s.value)
        silent_s = time.monotonic() - float(self._since.value)
        return silent_s if silent_s > allowed_s else 0.0


class Ended(NamedTuple):
    """A process that is over; `code` is its exit code, or a signal's number below 0."""

    name: str
    code: int


class Child:
    """One process after the other.

    `start` gives a started process and hands it its deadline: `start_s` seconds, until the process sets another.
    """

    def __init__(self, start: Callable[[Deadline], BaseProcess], start_s: float, restarts: Restarts) -> None:
        self._start, self._start_s, self._restarts = start, start_s, restarts
        self.deadline = Deadline()
        self.process: BaseProcess | None = None
        self._name = ""

    @property
    def name(self) -> str:
        """Of the process that there is, or was last."""
        return self._name

    def look(self) -> Ended | None:
        """Start the process if it is due, kill it if it missed its deadline, and say when it has ended."""
        process = self.process
        if process is None:
            if self._restarts.due:
                self.deadline = Deadline()
                self.deadline.within(self._start_s)
                self._restarts.began()
                self.process = self._start(self.deadline)
                self._name = self.process.name
            return None
        if process.is_alive():
            silent_s = self.deadline.missed_s
            if not silent_s:
                return None
            log.warning("%s made no progress for %.0f s: its process is killed.", process.name, silent_s)
            process.kill()
            process.join()
        self.process = None
        self._restarts.ended()
        return Ended(process.name, process.exitcode or 0)


def stop_children(children: Sequence[Child], grace_s: float) -> list[Child]:
    """Ask all to stop, and kill what is left after `grace_s`: those whose process had to be killed."""
    running = [(child, child.process) for child in children if child.process is not None]
    for _, process in running:
        process.terminate()
    end_at, killed = time.monotonic() + grace_s, []
    for child, process in running:
        process.join(max(0.0, end_at - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()
            killed.append(child)
    return killed
