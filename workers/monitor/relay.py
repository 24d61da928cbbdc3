"""Between the monitor and whoever is told over a network: a queue and a thread, so that no verdict waits for them."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from workers.monitor.notices import Notice

WAITING = 1000  # notices that may wait; what comes then is dropped, and counted
GRACE_S = 2.0  # for what waits at the end
QUIET_S = 60.0  # between two complaints
DELIVERED, GIVEN_UP, DROPPED = OUTCOMES = ("delivered", "given_up", "dropped")

log = logging.getLogger(__name__)


class UndeliveredError(Exception):
    """A notice that could not be delivered; says why, without credentials."""


class Target(Protocol):
    """Somebody elsewhere who is told of each notice."""

    name: str

    def deliver(self, notice: Notice, over: threading.Event) -> None:
        """Take one notice, however long that takes; UndeliveredError where it cannot be, or `over` is set first."""

    def close(self) -> None:
        """Let go of connections."""


class Relay:
    """A sink that hands notices to a target; what cannot be delivered is counted, and kept as a dead letter."""

    def __init__(
        self,
        target: Target,
        count: Callable[[str, str], None],
        dead_letters: Path | None = None,
        *,
        waiting: int = WAITING,
    ) -> None:
        """`count` is called with the target's name and one of OUTCOMES for each notice."""
        self._target, self._count, self._dead = target, count, dead_letters
        self._queue: queue.Queue[Notice | None] = queue.Queue(waiting)
        self._over, self._last = threading.Event(), set[str]()
        self._told_s = float("-inf")
        self._thread = threading.Thread(target=self._work, name=target.name, daemon=True)
        self._thread.start()

    def write(self, notices: Sequence[Notice]) -> None:
        """Queue them, without waiting for anything."""
        for notice in notices:
            if notice.key in self._last:
                continue
            try:
                self._queue.put_nowait(notice)
            except queue.Full:
                self._count(self._target.name, DROPPED)
                self._complain("too many notices wait already")
        self._last = {notice.key for notice in notices}

    def close(self) -> None:
        """Deliver what waits for a moment; the rest is given up."""
        deadline = time.monotonic() + GRACE_S
        while not self._queue.empty() and time.monotonic() < deadline and self._thread.is_alive():
            time.sleep(0.02)
        self._over.set()
        self._wake()
        self._thread.join(GRACE_S)
        self._target.close()

    def _wake(self) -> None:
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return  # it is awake

    def _work(self) -> None:
        while True:
            try:
                notice = self._queue.get(timeout=None if not self._over.is_set() else 0)
            except queue.Empty:
                return
            if notice is not None:
                self._deliver(notice)

    def _deliver(self, notice: Notice) -> None:
        try:
            self._target.deliver(notice, self._over)
        except UndeliveredError as error:
            self._count(self._target.name, GIVEN_UP)
            self._complain(str(error))
            self._bury(notice, str(error))
        else:
            self._count(self._target.name, DELIVERED)

    def _bury(self, notice: Notice, reason: str) -> None:
        if self._dead is None:
            return
        line = json.dumps({"target": self._target.name, "why": reason, "notice": json.loads(notice.json())})
        try:
            with self._dead.open("a", encoding="ascii") as file:
                file.write(line + "\n")
        except OSError as error:
            self._complain(f"nor can dead letters be kept: {error.strerror}")

    def _complain(self, why: str) -> None:
        if time.monotonic() - self._told_s > QUIET_S:
            self._told_s = time.monotonic()
            log.warning("The %s was not told of a verdict: %s.", self._target.name, why)
