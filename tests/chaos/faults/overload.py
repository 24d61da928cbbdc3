"""Twice as much as the worker can score comes for a while."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from dfd_core.media import stream_names
from dfd_core.settings import QueueSettings, WorkerSettings
from tests.chaos.cameras import Camera
from tests.chaos.fault import Fault
from tests.chaos.memory import Memory
from tests.chaos.metrics import wait_until
from tests.chaos.odd_workers import PACE
from tests.chaos.system import LOST, PATIENCE_S, System

MORE = 3  # cameras, beside the one that there is; each brings a window a second
SOON_S = 3.0  # latency of a window where not too much comes
LATE_S = QueueSettings().stale_s + WorkerSettings().batch_windows / PACE + 5.0  # beyond it nothing waits
SHARE = 0.6  # of what the worker can score, at least, while too much comes
LOOK_S = 0.5
WARM_S = 60.0  # before memory is looked at: queues fill until then


class Overload(Fault):
    """The newest windows are scored, what is too late is dropped and counted, and afterwards all is as before.

    In a run that may take long, the memory of every process and of Redis stays flat, too.
    """

    name = "twice as much as the worker can score, for {}"
    soaks = False
    lasts_s = 90.0
    long_s = 600.0
    _more: Sequence[Camera] = ()
    _memory: Memory | None = None

    def __init__(self) -> None:
        self._over = threading.Event()

    def broken(self, system: System) -> None:
        self._over.clear()
        system.stop("work")
        system.run("work", "paced", module="tests.chaos.odd_workers")
        self._streams, before = [system.stream], system.scored()
        if wait_until(lambda: system.scored() >= before + 3 and self._age_s(system) < SOON_S, PATIENCE_S) is None:
            raise RuntimeError("the paced worker does not keep up with one camera")
        self._more = [Camera(system.film) for _ in range(MORE)]
        for camera in self._more:
            camera.start()
        self._streams += stream_names(camera.url for camera in self._more)
        self._before, self._oldest_s = self._outcomes(system), 0.0
        threading.Thread(target=self._look, args=(system,), daemon=True).start()
        system.run("more", "ingest", *(camera.url for camera in self._more))
        if wait_until(lambda: all(map(system.watched, self._streams)), PATIENCE_S) is None:
            raise RuntimeError("not all cameras came to be read")
        self._memory = Memory(system, WARM_S)
        self._memory.start()

    def seen(self, system: System) -> bool:
        return self._age_s(system) > SOON_S

    def mended(self, system: System) -> None:
        self._end_memory()
        self._came = {name: now - self._before[name] for name, now in self._outcomes(system).items()}
        system.stop("more")
        self._told = self._latency(system)

    def recovered(self, system: System, scored: float) -> bool:
        """Whether the windows told since the last look were told soon."""
        told, self._told = self._told, self._latency(system)
        count, seconds = (now - before for now, before in zip(self._told, told, strict=True))
        return count > 0 and seconds / count < SOON_S and super().recovered(system, scored)

    def after(self, system: System) -> str:
        self._over.set()
        system.stop("work")
        system.run("work", "work")
        came, wrong = self._came, []
        if self._oldest_s > LATE_S:
            wrong.append(f"a window waited for {self._oldest_s:.0f} s")
        if came["missing"]:
            wrong.append(f"{came['missing']:.0f} windows were lost uncounted")
        if came["scored"] < SHARE * PACE * self.lasts_s:
            wrong.append(f"only {came['scored']:.0f} windows were scored")
        if not sum(came.values()) - came["scored"]:
            wrong.append("no window was too much")
        outcomes = ", ".join(f"{count:.0f} {outcome}" for outcome, count in came.items() if count)
        self.told = f"windows: {outcomes}; the oldest waited {self._oldest_s:.1f} s"
        if self.lasts_s == self.long_s and self._memory is not None:
            held = [f"{role} {first / 1e6:.0f} to {last / 1e6:.0f}" for role, first, last, _ in self._memory.rows()]
            self.told += f"; memory in MB: {', '.join(held)}"
            wrong += self._memory.grew()
        return "; ".join(wrong)

    def close(self) -> None:
        self._over.set()
        self._end_memory()
        for camera in self._more:
            camera.stop()

    def _end_memory(self) -> None:
        if self._memory is not None:
            self._memory.stop()

    def _look(self, system: System) -> None:
        while not self._over.wait(LOOK_S):
            self._oldest_s = max(self._oldest_s, self._age_s(system))

    def _age_s(self, system: System) -> float:
        """Of the window that waits longest, of any camera."""
        ages = (system.watch.value("dfd_oldest_window_age_seconds", stream=stream) for stream in self._streams)
        return max(age or 0.0 for age in ages)

    def _outcomes(self, system: System) -> dict[str, float]:
        """Windows of all cameras by what became of them."""
        return {
            outcome: sum(
                system.watch.grown("dfd_windows_total", stream=stream, outcome=outcome) for stream in self._streams
            )
            for outcome in ("scored", "not_scorable", *LOST)
        }

    def _latency(self, system: System) -> tuple[float, float]:
        """How many windows of the camera were told so far, and the sum of how long each took, seconds."""
        count, seconds = (
            system.watch.grown(f"dfd_window_latency_seconds_{part}", stream=system.stream) for part in ("count", "sum")
        )
        return count, seconds


FAULTS = (Overload(),)
