"""Ways in which a process notices that the one that started it is gone, and ends."""

from __future__ import annotations

import ctypes
import logging
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.process import BaseProcess
from types import FrameType

GRACE_S = 3.0
_BEAT_S = 2.0  # a child looks so often whether an alarm is to be lifted
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PARENT_ENDED = getattr(signal, "SIGSTKFLT", None)  # Linux has it, and sends it for nothing; its number: 16


class Parent:
    """The process that started this one, and that which it was forked from, where that is another."""

    def __init__(self) -> None:
        self._pid = os.getppid()

    @property
    def alive(self) -> bool:
        """False once either is gone."""
        started_by = multiprocessing.parent_process()
        return os.getppid() == self._pid and (started_by is None or started_by.is_alive())


def end_with_parent(grace_s: float = GRACE_S) -> None:
    """End this process as soon as the one that started it by multiprocessing is gone, however that ended.

    It gets SIGTERM, and what is left of it after `grace_s` is killed, whatever it is blocked in: native code that lets
    other threads run, a lock, a loop that waits for a server, what is done at the end. A thread sees to that, so that
    nothing of what the process does has to look. Native code that holds Python's lock for good stops that thread as
    well; on Linux the kernel ends the process then, after 16 s. In a process that nobody started so, nothing is done.
    SIGALRM can be used beside it, with a handler.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        _end_by_the_kernel(parent)
        threading.Thread(target=_end_with, args=(parent, grace_s), name="guard", daemon=True).start()


def _end_by_the_kernel(parent: BaseProcess) -> None:
    """Let an alarm of the kernel's end this process some time after its parent: no Python has to run for it.

    The signal that Linux sends at the parent's end is handled by C's alarm(), which takes the number of the signal for
    seconds; what SIGALRM does then is to end the process. It is sent too where only the thread that forked has ended,
    or a server of multiprocessing that did; the guard lifts the alarm then.
    """
    if _PARENT_ENDED is None:
        return
    libc = ctypes.CDLL(None)
    libc.signal(int(_PARENT_ENDED), ctypes.cast(libc.alarm, ctypes.c_void_p))
    libc.prctl(_PR_SET_PDEATHSIG, int(_PARENT_ENDED))
    if not parent.is_alive():  # it ended before the kernel was asked
        signal.raise_signal(_PARENT_ENDED)


def end_with_starter() -> None:
    """On Linux, end this process, which does little else than fork others, at once with the one that started it.

    multiprocessing lets its fork server run for as long as any process that was forked there; the kernel tells these of
    the end of that server only.
    """
    if _PARENT_ENDED is None:
        return
    starter = os.getppid()

    def end(signum: int, frame: FrameType | None) -> None:
        if os.getppid() != starter:  # it is the process that ended, not a thread of it
            os._exit(0)

    signal.signal(_PARENT_ENDED, end)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(_PARENT_ENDED))


def _end_with(parent: BaseProcess, grace_s: float) -> None:
    while parent.is_alive():
        if _PARENT_ENDED is not None and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL:  # others have a handler
            signal.alarm(0)
        parent.join(_BEAT_S)
    if grace_s > 0:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_s)
    os.kill(os.getpid(), signal.SIGKILL)


def leave(code: int = 0) -> None:
    """End this process by `code`, and not by way of its exit handlers, in which native libraries may hang for good.

    In a process that nobody started by multiprocessing, nothing is done.
    """
    if multiprocessing.parent_process() is not None:
        logging.shutdown()
        os._exit(code)


def stop_with_stdin() -> None:
    """Watch standard input from a thread: a pipe that the parent holds open.

    When it closes, for whatever reason, this process stops as on SIGTERM, and what is left of its process group after
    `GRACE_S` is killed. No signal of the parent is needed: it may be gone.
    """
    threading.Thread(target=_wait_for_the_end, name="guard", daemon=True).start()


def _wait_for_the_end() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
