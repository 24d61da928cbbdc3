"""How much memory the processes of a running system hold, and how much Redis holds, as time goes on."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

from redis.exceptions import RedisError

from dfd_core.settings import QueueSettings
from tests.chaos.system import System, tree

EVERY_S = 5.0
SHARE = 0.15  # of a run, at its begin and at its end, that is compared
MORE, MORE_BYTES = 1.1, 16e6  # at the end than at the beginning, and it counts as flat
REDIS = (
    "redis"  # the process; its allocator keeps what windows took that waited in a fault: `queue.live_bytes` a stream
)


class Memory(threading.Thread):
    """Looks at a system until `stop`; `held` has, by role, the seconds and bytes of each look.

    A role is a command with all processes that it started, and its memory what is theirs alone: no pages of files,
    which they share. `redis data` is what Redis says that its data take.
    """

    def __init__(self, system: System, warm_s: float = 0.0) -> None:
        """It begins to look after `warm_s`."""
        super().__init__(daemon=True)
        self._warm_s = warm_s
        self.held: dict[str, list[tuple[float, float]]] = {}
        self._system, self._stop_it, self._began = system, threading.Event(), time.monotonic()

    def run(self) -> None:
        self._stop_it.wait(self._warm_s)
        while not self._stop_it.wait(EVERY_S):
            for role, pid in self._system.pids().items():
                if held := sum(map(own, tree(pid))):
                    self._note(role, held)
            with suppress(RedisError):
                self._note("redis data", self._system.redis.client.info("memory")["used_memory"])

    def stop(self) -> None:
        self._stop_it.set()
        self.join()

    def write(self, path: Path) -> None:
        """Every look, as CSV."""
        lines = [f"{role},{at_s:.0f},{held:.0f}\n" for role, looks in self.held.items() for at_s, held in looks]
        path.write_text("role,seconds,bytes\n" + "".join(lines))

    def rows(self) -> list[tuple[str, float, float, bool]]:
        """Role, bytes at the beginning and at the end (medians of `SHARE` of the run), and whether that is flat."""
        rows = []
        for role, looks in self.held.items():
            count = max(1, round(SHARE * len(looks)))
            first, last = (median(held for _, held in part) for part in (looks[:count], looks[-count:]))
            waited = QueueSettings().live_bytes * len(self._system.streams) if role == REDIS else 0
            rows.append((role, first, last, last <= MORE * first + MORE_BYTES + waited))
        return rows

    def grew(self) -> list[str]:
        """A sentence for each role whose memory was not flat."""
        return [f"{role} grew" for role, _, _, flat in self.rows() if not flat]

    def _note(self, role: str, held: float) -> None:
        self.held.setdefault(role, []).append((time.monotonic() - self._began, held))


def own(pid: int) -> int:
    """Bytes of a process that no file backs, what it shares with others by its share of them; 0 where it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss_Anon:"):
                return int(line.split()[1]) * 1024
    return 0
