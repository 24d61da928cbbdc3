"""Child processes: a pool of them that tells how one died, and children that do not outlive their parent."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import Any, Generic, TypeVar

from dfd_core.errors import DataError
from dfd_core.process.guard import end_with_parent

State = TypeVar("State")
Result = TypeVar("Result")


class Processes(Generic[State]):
    """Processes that each hold a state of their own, made once; it is what their functions are given first."""

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self._executor = executor

    def submit(self, function: Callable[..., Result], *given: Any) -> Future[Result]:
        """`function(state, *given)` in one of them."""
        return self._executor.submit(_call, function, *given)

    def map(self, function: Callable[..., Result], *given: Iterable[Any]) -> Iterator[Result]:
        """`function(state, *each)` for each of what is `given`, in order."""
        return self._executor.map(partial(_call, function), *given)


@contextmanager
def processes(jobs: int, prepare: Callable[..., State], *given: object) -> Iterator[Processes[State]]:
    """`jobs` processes, the state of each being `prepare(*given)`; DataError where one dies.

    They are spawned: threads of TensorFlow and LiteRT do not survive a fork.
    """
    executor = ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(prepare, given)
    )
    try:
        yield Processes(executor)
    except BrokenProcessPool:
        raise DataError(
            "A process died at its work, perhaps for want of memory: "
            "run the same command again, with fewer processes (--jobs or --feeders)."
        ) from None
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


_state: list[Any] = []  # of a child process


def _begin(prepare: Callable[..., Any], given: tuple[object, ...]) -> None:
    end_with_parent(0.0)
    _state.append(prepare(*given))


def _call(function: Callable[..., Result], *given: Any) -> Result:
    return function(_state[0], *given)
