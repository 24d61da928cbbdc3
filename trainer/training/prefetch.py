"""Batches made ahead of time by other processes, in order."""

from __future__ import annotations

import collections
from collections.abc import Generator
from concurrent.futures import Future

from dfd_core.process.priority import let_others_first
from dfd_core.types import Float32Array, UInt8Array
from trainer.fakes.sampler import Sampler
from trainer.processes import processes

AHEAD = 6  # batches in the making
_NICENESS = 19  # the arithmetic goes first: a thread of it that is held up holds up all others
Batch = tuple[UInt8Array, Float32Array]


def batches(sampler: Sampler, seed: int, steps: range, *, feeders: int = 2) -> Generator[Batch]:
    """The batches of `steps`, in order, made by `feeders` processes; see `Sampler.batch` for shapes."""
    with processes(feeders, _given, sampler) as pool:
        waiting: collections.deque[Future[Batch]] = collections.deque()
        for step in steps:
            waiting.append(pool.submit(Sampler.batch, seed, step))
            if len(waiting) >= AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _given(sampler: Sampler) -> Sampler:
    let_others_first(_NICENESS)
    return sampler
