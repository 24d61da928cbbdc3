"""Processes of a run, none of which outlives it, however it ends."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

_LEASH = ["setpriv", "--pdeathsig", "KILL", "--"]  # the kernel kills it when the thread that started it ends


def spawn(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start it in a session of its own, which no Ctrl-C reaches: whoever runs the system ends it in order."""
    leash = _LEASH if shutil.which(_LEASH[0]) else []
    return subprocess.Popen([*leash, *command], start_new_session=True, **options)


@contextmanager
def ends_in_order() -> Iterator[None]:
    """Inside, what asks the run to end raises SystemExit, as Ctrl-C raises KeyboardInterrupt."""
    asked = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, _end) for number in asked]
    try:
        yield
    finally:
        for number, handler in zip(asked, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Inside, nobody's impatience cuts short how a run ends."""
    asked = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_IGN) for number in asked]
    try:
        yield
    finally:
        for number, handler in zip(asked, before, strict=True):
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
