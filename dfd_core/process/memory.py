"""What glibc's allocator keeps of memory that was freed: other C libraries have no such thing, and nothing is done."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_ARENA_MAX = -8  # malloc.h of glibc


def share_one_arena() -> None:
    """Let all threads use again what one of them frees, pictures above all."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Give the system what is free between that which is held: by itself free memory is given back from the end only.

    So the backlog of a Redis that hung for a while would stay with the process for good. Takes a millisecond or two.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
