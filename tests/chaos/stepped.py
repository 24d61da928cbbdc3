"""A clock of a system's own, which can be stepped while it runs: a few lines of C before libc's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "programs" / "stepped_clock.c"
COMPILER = "cc"


class Clock:
    """What the time of day is for every process that is started with `environment`; monotonic clocks go on, as ever."""

    def __init__(self, file: Path) -> None:
        self._file, self._off_s = file, 0
        self._library = file.with_suffix(".so")
        command = [COMPILER, "-shared", "-fPIC", "-O2", "-o", str(self._library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True)
        self.step(0)

    def step(self, seconds: int) -> None:
        """Forward, or back where they are negative."""
        self._off_s += seconds
        with self._file.open("r+b" if self._file.exists() else "wb", buffering=0) as file:
            file.write(self._off_s.to_bytes(8, "little", signed=True))

    @property
    def environment(self) -> dict[str, str]:
        """Of processes that shall have this time."""
        return {"LD_PRELOAD": str(self._library), "STEPPED_CLOCK": str(self._file)}


def can_be_stepped() -> bool:
    """Whether this machine can make such a clock."""
    return shutil.which(COMPILER) is not None
