"""A worker that is killed, hangs, has no memory left, or meets a window that nobody survives; two supervisors."""

from __future__ import annotations

import os
import resource
import signal
import threading

from rq import Worker

from dfd_core.settings import Settings
from dfd_core.types import Window
from ingest.publisher import Publisher
from tests.chaos.fault import Fault
from tests.chaos.metrics import wait_until
from tests.chaos.system import HANG_S, PATIENCE_S, System, children
from tests.standins import POISON, segment

START_S = 20.0
FORGOTTEN_S = 60.0  # twice as long as the heartbeat of a worker counts


def worker_pid(system: System, *, busy: bool) -> int:
    """Of the process that scores; of one with a batch in hand where there is one in time."""
    found: list[int] = []

    def look() -> bool:
        workers = Worker.all(connection=system.redis.client)
        found[:] = [w.pid for w in workers if w.pid and (not busy or w.get_state() == "busy")]
        return bool(found)

    if wait_until(look, 10, every_s=0.005) is None:
        raise RuntimeError("no worker is at work")
    return found[0]


def windows_wait(system: System) -> bool:
    """Longer than they do where a worker is at work."""
    return (system.watch.value("dfd_oldest_window_age_seconds", stream=system.stream) or 0) > 3


class Killed(Fault):
    name = "worker killed in mid-batch"
    brief = True

    def broken(self, system: System) -> None:
        os.kill(worker_pid(system, busy=True), signal.SIGKILL)

    def seen(self, system: System) -> bool:
        return system.watch.value("dfd_workers") == 0


class Hung(Fault):
    name = f"worker hangs in mid-batch (worker.hang_timeout_s = {HANG_S:g})"
    recovered_s = HANG_S + 10.0  # it is found out, killed, and another one has loaded its model

    def broken(self, system: System) -> None:
        os.kill(worker_pid(system, busy=True), signal.SIGSTOP)

    def seen(self, system: System) -> bool:
        return windows_wait(system)


class HungAtStart(Fault):
    """It is found out, killed, and another one loads its model."""

    name = f"worker hangs while it starts (worker.start_timeout_s = {START_S:g})"
    recovered_s = START_S + 15.0

    def broken(self, system: System) -> None:
        system.stop("work")
        system.run("work", "work", worker__start_timeout_s=START_S)
        if wait_until(lambda: children(system, "work"), 60, every_s=0.005) is None:
            raise RuntimeError("no worker was started")
        os.kill(children(system, "work")[0], signal.SIGSTOP)

    def seen(self, system: System) -> bool:
        return system.watch.value("dfd_workers") == 0

    def after(self, system: System) -> str:
        system.stop("work")
        system.run("work", "work")
        return ""


class OutOfMemory(Fault):
    """It is given none any more; it ends, and another one scores what it had in hand."""

    name = "worker out of memory"
    recovered_s = HANG_S + 10.0  # where not even a thread can be started, it hangs

    def broken(self, system: System) -> None:
        self._failed = system.watch.grown("dfd_windows_total", outcome="failed")
        resource.prlimit(worker_pid(system, busy=False), resource.RLIMIT_AS, (1, resource.RLIM_INFINITY))

    def seen(self, system: System) -> bool:
        return system.watch.value("dfd_workers") == 0 or windows_wait(system)

    def after(self, system: System) -> str:
        failed = system.watch.grown("dfd_windows_total", outcome="failed") - self._failed
        return f"{failed:.0f} windows were set aside" if failed else ""


class TwoSupervisors(Fault):
    """Both have a worker; one is killed with a batch in hand, and the other one scores that too."""

    name = "two supervisors, of which one is killed"
    soaks = False

    def broken(self, system: System) -> None:
        system.run("other", "work")

    def seen(self, system: System) -> bool:
        return system.watch.value("dfd_workers") == 2

    def mended(self, system: System) -> None:
        system.kill("work")

    def after(self, system: System) -> str:
        alone = wait_until(lambda: system.watch.value("dfd_workers") == 1, FORGOTTEN_S)
        system.run("work", "work")
        system.stop("other")
        return "" if alone is not None else "the killed one's worker is still told"


class Poison(Fault):
    name = "a window that kills every worker which scores it"
    soaks = False

    def broken(self, system: System) -> None:
        system.stop("work")
        system.run("work", "fragile", module="tests.chaos.odd_workers")
        system.settle()
        if wait_until(lambda: not windows_wait(system), PATIENCE_S) is None:  # the window would be too late for a try
            raise RuntimeError("the worker does not keep up with the camera")
        publisher = Publisher(system.redis.client, "poison", True, Settings(), threading.Event())
        publisher.publish(Window((segment(0, stream="poison", value=POISON),)))

    def seen(self, system: System) -> bool:
        return system.watch.grown("dfd_windows_total", stream="poison", outcome="failed") == 1

    def after(self, system: System) -> str:
        system.stop("work")
        system.run("work", "work")
        return ""


FAULTS = (Killed(), Hung(), HungAtStart(), OutOfMemory(), TwoSupervisors(), Poison())
