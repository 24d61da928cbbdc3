"""Two ways in which a process notices that the one that started it is gone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

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
