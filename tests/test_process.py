"""What all processes of dfd share, with real ones: pauses, restarts, deadlines, and the end of the parent."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from dfd_core.process.backoff import Backoff, Restarts
from dfd_core.process.children import SPAWN, Child, Deadline, Ended, stop_children
from dfd_core.process.signals import stop_on_signals

PATIENCE_S = 120.0  # of a busy machine


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def life(deadline: Deadline, folder: Path, hangs: str) -> None:
    """Hang where `hangs` says: at the start, while at work, or nowhere, and then wait for good."""
    (folder / str(os.getpid())).touch()
    if hangs != "start":
        deadline.lift()
    if hangs == "work":
        deadline.within(0.5)
    time.sleep(3600)


class Nursery:
    """A child whose first process hangs as told, and the next ones do not."""

    def __init__(self, folder: Path, hangs: str, start_s: float, restarts: Restarts) -> None:
        self.folder, self.hangs, self.started = folder, hangs, 0
        self.child = Child(self._start, start_s, restarts)
        self.ended: list[Ended] = []

    def _start(self, deadline: Deadline) -> SpawnProcess:
        self.started += 1
        hangs = self.hangs if self.started == 1 else ""
        process = SPAWN.Process(target=life, args=(deadline, self.folder, hangs), name=f"child-{self.started}")
        process.start()
        return process

    def look(self) -> None:
        if (ended := self.child.look()) is not None:
            self.ended.append(ended)

    def alive(self) -> bool:
        """Whether the process that there is has begun to work."""
        self.look()
        process = self.child.process
        return process is not None and (self.folder / str(process.pid)).exists()


def test_pauses_double_up_to_the_longest_and_begin_anew() -> None:
    pauses = Backoff(0.5, 3.0)
    assert [pauses.next_s() for _ in range(4)] == [0.5, 1.0, 2.0, 3.0]
    pauses.reset()
    assert pauses.next_s() == 0.5
    assert Backoff(5.0, 2.0).next_s() == 2.0
    assert all(0.5 <= Backoff(1.0, 2.0, jitter=0.5).next_s() <= 1.0 for _ in range(50))


def test_who_dies_young_waits_longer_and_who_lived_long_does_not() -> None:
    restarts = Restarts(0.1, 0.4)
    assert restarts.due
    for deaths in (1, 2, 3):
        restarts.began()
        restarts.ended()
        assert (restarts.deaths, restarts.due) == (deaths, False)
        died_at = time.monotonic()
        until(lambda: restarts.due)
        assert time.monotonic() - died_at > 0.1 * 2 ** (deaths - 1) - 0.05
    restarts.began()
    time.sleep(0.5)
    restarts.ended()
    assert restarts.deaths == 1
    died_at = time.monotonic()
    until(lambda: restarts.due)
    assert time.monotonic() - died_at < 0.3


@pytest.mark.parametrize("hangs", ["start", "work"])
def test_a_child_that_hangs_is_killed_and_replaced(
    hangs: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start_s = 0.5 if hangs == "start" else PATIENCE_S
    nursery = Nursery(tmp_path, hangs, start_s, Restarts(0.1, 1.0))
    try:
        until(lambda: nursery.look() or nursery.ended)
        nursery.child._start_s = PATIENCE_S  # the next one has the time that this machine needs
        assert nursery.ended[0] == Ended("child-1", -signal.SIGKILL)
        assert "child-1 made no progress for" in caplog.text
        until(nursery.alive)
        assert nursery.child.name == "child-2"
        assert len(nursery.ended) == 1
    finally:
        stop_children([nursery.child], 0.0)


def test_all_children_stop_together(tmp_path: Path) -> None:
    stubborn = Child(_started_deaf, PATIENCE_S, Restarts(0.1, 1.0))
    nursery = Nursery(tmp_path, "", PATIENCE_S, Restarts(0.1, 1.0))
    until(nursery.alive)
    stubborn.look()
    until(lambda: stubborn.deadline.missed_s == 0.0 and stubborn.deadline._allowed_s.value != PATIENCE_S)
    assert stop_children([nursery.child, stubborn], 1.0) == [stubborn]
    assert stop_children([Child(_started_deaf, 1.0, Restarts(0.1, 1.0))], 1.0) == []  # it was never started


def test_a_signal_wakes_who_waits_and_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals() as stop:
        assert not stop.wait(0.01)
        threading.Timer(0.1, signal.pthread_kill, (threading.get_ident(), signal.SIGTERM)).start()
        assert stop.wait(PATIENCE_S)
        signal.raise_signal(signal.SIGINT)  # told twice, at once: os.kill may come after handlers are back
        assert stop.is_set()
    assert signal.getsignal(signal.SIGTERM) is before


def deaf(deadline: Deadline) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    deadline.lift()
    time.sleep(3600)


def _started_deaf(deadline: Deadline) -> SpawnProcess:
    process = SPAWN.Process(target=deaf, args=(deadline,), name="deaf")
    process.start()
    return process
