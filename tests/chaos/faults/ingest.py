"""Ingest that dies: the whole of it, and the process that reads one source."""

from __future__ import annotations

import os
import signal

from tests.chaos.fault import Fault
from tests.chaos.system import System
from tests.readers import readers_of


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
        for reader in readers_of(system.pid("ingest")):
            os.kill(reader, signal.SIGKILL)


FAULTS = (Killed(), ReaderKilled())
