"""Ways in which a process notices that the one that started it is gone, and ends."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.process import BaseProcess

GRACE_S = 3.0


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
    nothing of what the process does has to look. In a process that nobody started so, nothing is done.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent, grace_s), name="guard", daemon=True).start()


def _end_with(parent: BaseProcess, grace_s: float) -> None:
    parent.join()
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
