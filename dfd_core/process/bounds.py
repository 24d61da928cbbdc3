"""What a process may take that decodes what others sent: a bomb ends it at most, and not the machine.

Each bound is for processes that were started for that work; none is put on a program that only calls dfd.
"""

from __future__ import annotations

import math
import os
import re
import resource
import signal
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_WRITTEN_BYTES = 1_000_000_000  # that a process may add to its log


_owned: list[bool] = []


def own_the_process() -> None:
    """Say that this process is a command of dfd and nothing else, so that bounds may be put on it."""
    _owned[:] = [True]


def is_owned() -> bool:
    """Whether that was said."""
    return bool(_owned)


def limit_memory(most_bytes: int, beside: int = 0) -> None:
    """Let this process hold `most_bytes` of memory of its own at most, 0: any; then it raises MemoryError, or dies.

    What it needs `beside` (a model, `held_bytes`) does not count. It leaves no core dump, which would hold pictures and
    passwords. Where a lower limit is set already, that stays.
    """
    _lower(resource.RLIMIT_CORE, 0)
    if most_bytes and sys.platform == "linux":  # elsewhere it does not count what is mapped
        _lower(resource.RLIMIT_DATA, most_bytes + beside)


def held_bytes() -> int:
    """What counts as memory of this process's own now, as `limit_memory` counts; 0 where nobody says."""
    try:
        found = re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return 0
    return 0 if found is None else int(found[1]) * 1024


def limit_writing(most_bytes: int = 0) -> None:
    """Let no file that this process writes be longer than `most_bytes`, or than a log may grow; then OSError."""
    begun = 0
    with suppress(OSError):  # standard error is closed
        log = os.fstat(2)
        begun = log.st_size if stat.S_ISREG(log.st_mode) else 0
    _lower(resource.RLIMIT_FSIZE, begun + max(most_bytes, _WRITTEN_BYTES))


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """Within, this process may take so many seconds of CPU time more, 0: any; then the kernel ends it (SIGXCPU)."""
    before = resource.getrlimit(resource.RLIMIT_CPU)
    if seconds:
        _lower(resource.RLIMIT_CPU, math.ceil(time.process_time() + seconds))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, before)


def why_ended(exit_code: int, max_cpu_s: float) -> str:
    """How a process ended, as the rest of a sentence about it."""
    if exit_code == -signal.SIGXCPU:
        return f"took more CPU time than video.max_cpu_s ({max_cpu_s:g}) allows for a file"
    return f"ended with exit code {exit_code}"


def _lower(kind: int, limit: int) -> None:
    soft, hard = resource.getrlimit(kind)
    if soft == resource.RLIM_INFINITY or soft > limit:
        resource.setrlimit(kind, (limit, hard))
