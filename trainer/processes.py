"""Child processes: a pool of them that tells how one died, and children that do not outlive their parent."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from dfd_core.errors import DataError


@contextmanager
def processes(jobs: int, prepare: Callable[..., None], *given: object) -> Iterator[ProcessPoolExecutor]:
    """`jobs` processes, each of which has called `prepare` with what is `given`; DataError where one dies.

    They are spawned: threads of TensorFlow and LiteRT do not survive a fork.
    """
    executor = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _begin, (prepare, *given))
    try:
        yield executor
    except BrokenProcessPool:
        raise DataError(
            "A process died at its work, perhaps for want of memory: "
            "run the same command again, with fewer processes (--jobs or --feeders)."
        ) from None
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def end_with_parent() -> None:
    """Called first in a child process: it ends at once when its parent is gone, however that ended."""
    threading.Thread(target=_wait_for_the_end, name="end with parent", daemon=True).start()


def _begin(prepare: Callable[..., None], *given: object) -> None:
    end_with_parent()
    prepare(*given)


def _wait_for_the_end() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
