"""How much memory a process may take that decodes what others sent: a bomb ends it, and not the machine."""

from __future__ import annotations

import resource
import sys


def limit_memory(most_bytes: int) -> None:
    """Let this process hold `most_bytes` of memory of its own at most, 0: any; then it raises MemoryError, or dies.

    It leaves no core dump, which would hold pictures and passwords. Where a lower limit is set already, that stays.
    """
    _lower(resource.RLIMIT_CORE, 0)
    if most_bytes and sys.platform == "linux":  # elsewhere it does not count what is mapped
        _lower(resource.RLIMIT_DATA, most_bytes)


def _lower(kind: int, limit: int) -> None:
    soft, hard = resource.getrlimit(kind)
    if soft == resource.RLIM_INFINITY or soft > limit:
        resource.setrlimit(kind, (limit, hard))
