"""A file that is read again and again through a running system, beside its cameras, whatever is done to these."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from dfd_core.media import stream_name
from ingest.sources.synthetic import Scene, render_synthetic
from tests.chaos.metrics import wait_until
from tests.chaos.system import LOST, System

PAUSE_S = 15.0  # between two readings
TOLD_S = 240.0  # by when its verdict is there: live windows come first
REFUSED = "dfd: Redis at "  # how the sentence begins
ALIKE = 0.02  # probabilities of one file


class Files(threading.Thread):
    """Reads one until `stop`, again once it has its verdict; each reading must have told the same one.

    `refused` counts readings that ended before they began, with the sentence of a Redis that takes nothing just then:
    nothing is lost by these, and the file is read again.
    """

    def __init__(self, system: System) -> None:
        super().__init__(daemon=True)
        self.read = self.failed = self.refused = 0
        self._system, self._stop_it = system, threading.Event()
        self._path = Path(system.folder, "film.mp4")
        self._stream = stream_name(str(self._path))
        render_synthetic(self._path, Scene(duration=12.0, fake_from=0.0, size=(480, 270), fps=8, seed=7))

    def run(self) -> None:
        command = [sys.executable, "-m", "dfd_core.cli", "ingest", str(self._path)]
        while not self._stop_it.wait(PAUSE_S):
            done = subprocess.run(command, capture_output=True, env=self._system.environment(), check=False, text=True)
            with (self._system.folder / "files.log").open("a") as log:
                log.write(done.stdout + done.stderr)
            refused = done.returncode != 0 and REFUSED in done.stderr
            self.read += done.returncode == 0
            self.refused += refused
            self.failed += done.returncode != 0 and not refused
            wait_until(lambda: len(self._ends()) >= self.read, TOLD_S)

    def stop(self) -> None:
        """Wait for the reading that is under way, and for its verdict."""
        self._stop_it.set()
        self.join()

    def wrong(self) -> list[str]:
        """What was lost of them."""
        ends = self._ends()
        wrong = [f"{self.failed} readings of a file failed"] if self.failed else []
        whole = [end for end in ends if end["reason"] is None]
        if len(whole) != self.read:
            wrong.append(f"{self.read} files were read to the end, and {len(whole)} verdicts told on a whole one")
        if any(end["state"] != ends[0]["state"] for end in whole):
            wrong.append("verdicts of one file differ")
        told = [float(str(end["fake_probability"])) for end in whole if end["fake_probability"] is not None]
        if len(told) != len(whole) or (told and max(told) - min(told) > ALIKE):
            wrong.append(f"probabilities of one file differ: {sorted(told)}")
        for outcome in LOST:
            if lost := self._system.watch.grown("dfd_windows_total", stream=self._stream, outcome=outcome):
                wrong.append(f"{lost:.0f} windows of files {outcome}")
        return wrong

    def _ends(self) -> list[dict[str, object]]:
        return [line for line in self._system.written() if line["event"] == "end" and line["stream"] == self._stream]
