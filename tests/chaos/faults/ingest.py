"""Ingest that dies: the whole of it, and the process that reads one source."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.chaos.fault import Fault
from tests.chaos.system import System


class Killed(Fault):
    name = "ingest killed and restarted"
    brief = True
    recovered_s = 15.0  # two processes of it start, one after the other

    def broken(self, system: System) -> None:
        system.kill("ingest")

    def mended(self, system: System) -> None:
        system.run_ingest()


class ReaderKilled(Fault):
    name = "the process that reads a camera is killed"

    def broken(self, system: System) -> None:
        parent = system.pid("ingest")
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for child in children:
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(int(child), signal.SIGKILL)


FAULTS = (Killed(), ReaderKilled())
