"""A worker that is killed, that hangs, and one that meets a window which nobody survives."""

from __future__ import annotations

import os
import signal
import threading

from rq import Worker

from dfd_core.settings import Settings
from dfd_core.types import Window
from ingest.publisher import Publisher
from tests.chaos.fault import Fault
from tests.chaos.metrics import wait_until
from tests.chaos.system import HANG_S, System
from tests.standins import POISON, segment


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
        return (system.watch.value("dfd_oldest_window_age_seconds", stream=system.stream) or 0) > 3


class Poison(Fault):
    name = "a window that kills every worker which scores it"
    soaks = False

    def broken(self, system: System) -> None:
        system.stop("work")
        system.run("work", module="tests.chaos.fragile_worker")
        system.settle()
        publisher = Publisher(system.redis.client, "poison", True, Settings(), threading.Event())
        publisher.publish(Window((segment(0, stream="poison", value=POISON),)))

    def seen(self, system: System) -> bool:
        return system.watch.grown("dfd_windows_total", stream="poison", outcome="failed") == 1

    def after(self, system: System) -> str:
        system.stop("work")
        system.run("work", "work")
        return ""


FAULTS = (Killed(), Hung(), Poison())
