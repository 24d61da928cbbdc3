"""A clock that is stepped under everything that runs: dfd and Redis."""

from __future__ import annotations

from tests.chaos.fault import Fault
from tests.chaos.metrics import wait_until
from tests.chaos.stepped import can_be_stepped
from tests.chaos.system import System

HOUR_S = 3600
FORGOTTEN_S = 60.0


class Stepped(Fault):
    """The time of day is another one from now on; what was told before stays told, and nothing is told again."""

    clocked = True
    soaks = False
    unseen = "time is told by clocks that only go on; what waits just then may count as old"

    def __init__(self, seconds: int) -> None:
        self.name = f"clock stepped by an hour, {'ahead' if seconds > 0 else 'back'}"
        self._seconds = seconds

    def missing(self) -> str:
        return "" if can_be_stepped() else "a clock of its own takes a C compiler"

    def broken(self, system: System) -> None:
        self._alarms = system.alarms()
        assert system.clock is not None
        system.clock.step(self._seconds)

    def after(self, system: System) -> str:
        if system.alarms() != self._alarms:
            return "an alarm that lasted was told again"
        known = wait_until(lambda: system.watch.value("dfd_workers") == 1, FORGOTTEN_S)
        return "" if known is not None else "no worker is told, or too many"


FAULTS = (Stepped(HOUR_S), Stepped(-HOUR_S))
