"""A monitor that dies, two of them, and a disk on which nothing fits any more."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.chaos.fault import Fault
from tests.chaos.metrics import Watch
from tests.chaos.system import System
from tests.fixtures_redis import free_port

PAGE = 4096  # bytes that a small disk in memory gives at once


class Killed(Fault):
    name = "monitor killed and restarted"
    brief = True

    def broken(self, system: System) -> None:
        self._alarms = system.alarms()
        system.kill("monitor")

    def seen(self, system: System) -> bool:
        return not system.watch.served

    def mended(self, system: System) -> None:
        system.run_monitor()

    def after(self, system: System) -> str:
        return "" if system.alarms() == self._alarms else "an alarm that lasted was told again"


class TwoMonitors(Fault):
    """The second one waits; the first is killed, and the second takes over."""

    name = "two monitors, of which one is killed"
    soaks = False
    _other: Watch | None = None

    def broken(self, system: System) -> None:
        port = free_port()
        self._other = Watch(port)
        system.run("second", "monitor", "--verdicts", str(system.verdicts), metrics__monitor_port=port)

    def seen(self, system: System) -> bool:
        return self._other is not None and self._other.value("dfd_monitor_active") == 0

    def mended(self, system: System) -> None:
        system.kill("monitor")

    def recovered(self, system: System, scored: float) -> bool:
        assert self._other is not None
        told = self._other.grown("dfd_windows_total", stream=system.stream, outcome="scored")
        return self._other.value("dfd_monitor_active") == 1 and told > 0

    def after(self, system: System) -> str:
        system.run_monitor()
        system.stop("second")
        return ""

    def close(self) -> None:
        if self._other is not None:
            self._other.close()


class DiskFull(Fault):
    """Neither verdicts nor what the commands print can be written; nobody dies of it, and verdicts go on."""

    name = "disk full: no room for verdicts and logs"
    soaks = False
    _place: Path | None = None

    def missing(self) -> str:
        return "" if os.geteuid() == 0 and os.access("/bin/mount", os.X_OK) else "mounting a small disk needs root"

    def broken(self, system: System) -> None:
        place = system.folder / "small"
        place.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], check=True)
        self._place, self._before = place, system.verdicts
        system.verdicts, system.logs = place / "verdicts.jsonl", place
        _run_again(system)
        system.settle()
        self._dropped = system.watch.grown("dfd_sink_notices_total", sink="file", outcome="dropped")
        _fill(system.verdicts, place / "filler")
        system.camera.start()  # its face is followed anew, and there is something to tell

    def seen(self, system: System) -> bool:
        return system.watch.grown("dfd_sink_notices_total", sink="file", outcome="dropped") > self._dropped

    def mended(self, system: System) -> None:
        assert self._place is not None
        self._lines = len(system.written())
        (self._place / "filler").unlink()
        system.camera.start()

    def recovered(self, system: System, scored: float) -> bool:
        return system.live() and system.scored() > scored and len(system.written()) > self._lines

    def after(self, system: System) -> str:
        assert self._place is not None
        for log in self._place.glob("*.log"):
            shutil.copy(log, system.folder / f"small-{log.name}")
        system.verdicts, system.logs = self._before, system.folder
        _run_again(system)
        return ""

    def close(self) -> None:
        if self._place is not None:
            subprocess.run(["umount", "-l", str(self._place)], check=False)
            self._place = None


def _run_again(system: System) -> None:
    for role in ("ingest", "work", "monitor"):
        system.stop(role)
    system.run("work", "work")
    system.run_ingest()
    system.run_monitor()


def _fill(verdicts: Path, filler: Path) -> None:
    """Leave no room: neither on the disk nor in the last page that the verdicts have there."""
    with verdicts.open("a") as file:
        room = -file.tell() % PAGE
        line = json.dumps({"event": "filler", "key": "filler", "text": ""})
        file.write(line[:-2] + " " * ((room - len(line) - 1) % PAGE) + line[-2:] + "\n")
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(PAGE))


FAULTS = (Killed(), TwoMonitors(), DiskFull())
