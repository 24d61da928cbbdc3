"""A monitor that dies, two of them, and a disk on which no verdict fits."""

from __future__ import annotations

import os
import subprocess

from tests.chaos.fault import Fault
from tests.chaos.metrics import Watch
from tests.chaos.system import System
from tests.fixtures_redis import free_port


class Killed(Fault):
    name = "monitor killed and restarted"
    brief = True

    def broken(self, system: System) -> None:
        self._alarms = _alarms(system)
        system.kill("monitor")

    def seen(self, system: System) -> bool:
        return not system.watch.served

    def mended(self, system: System) -> None:
        system.run_monitor()

    def after(self, system: System) -> str:
        return "" if _alarms(system) == self._alarms else "an alarm that lasted was told again"


class TwoMonitors(Fault):
    """The second one waits; the first is killed, and the second takes over."""

    name = "two monitors, of which one is killed"
    soaks = False

    def broken(self, system: System) -> None:
        port = free_port()
        self._other = Watch(port)
        system.run("second", "monitor", "--verdicts", str(system.verdicts), metrics__monitor_port=port)

    def seen(self, system: System) -> bool:
        return self._other.value("dfd_monitor_active") == 0

    def mended(self, system: System) -> None:
        system.kill("monitor")

    def recovered(self, system: System, scored: float) -> bool:
        return self._other.value("dfd_monitor_active") == 1 and (
            self._other.grown("dfd_windows_total", stream=system.stream, outcome="scored") > 0
        )

    def after(self, system: System) -> str:
        system.run_monitor()
        system.stop("second")
        self._other.close()
        return ""


class DiskFull(Fault):
    name = "no room for verdicts on the disk"
    soaks = False
    deaths = ("monitor",)  # it says so and ends; started again, it goes on where it was

    def missing(self) -> str:
        return "" if os.geteuid() == 0 and os.access("/bin/mount", os.X_OK) else "mounting a small disk needs root"

    def broken(self, system: System) -> None:
        self._place = system.folder / "small"
        self._place.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(self._place)], check=True)
        system.stop("monitor")
        self._before, system.verdicts = system.verdicts, self._place / "verdicts.jsonl"
        system.run_monitor()
        system.settle()
        with (self._place / "filler").open("wb", buffering=0) as filler:
            _fill(filler.fileno())
        system.camera.start()  # its face is followed anew, and there is something to tell

    def seen(self, system: System) -> bool:
        return not system.watch.served or system.watch.value("dfd_sink_up") == 0

    def mended(self, system: System) -> None:
        self._lines = len(system.written())
        (self._place / "filler").unlink()
        system.camera.start()

    def recovered(self, system: System, scored: float) -> bool:
        return system.live() and system.scored() > scored and len(system.written()) > self._lines

    def after(self, system: System) -> str:
        system.stop("monitor")
        system.verdicts = self._before
        subprocess.run(["umount", "-l", str(self._place)], check=True)
        system.run_monitor()
        return ""


def _fill(file: int) -> None:
    while True:
        try:
            os.write(file, bytes(512))
        except OSError:
            return


def _alarms(system: System) -> int:
    """How many alarms the file of verdicts tells of."""
    return sum(line.get("state") == "fake" and line.get("event") == "verdict" for line in system.written())


FAULTS = (Killed(), TwoMonitors(), DiskFull())
