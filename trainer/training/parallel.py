"""Learners side by side: each trains a copy on batches of its own, and every few steps all take on the average.

This is local SGD (Stich, 2019): processes need no arithmetic in common, so that cores that stall at different times
hold each other up at the averaging only.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import RawArray
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dfd_core.errors import DataError
from dfd_core.types import Float32Array, UInt8Array
from trainer.data.face_pool import FacePool
from trainer.networks.arithmetic import use_fast_arithmetic
from trainer.processes import end_with_parent
from trainer.training.prefetch import batches
from trainer.training.recipes import Recipe
from trainer.training.step import learn, moving_state, start, thaw

EVERY = 4  # steps between averages
_MOST_STATES = 4  # of a weight: itself, two moments, its average
_FAREWELL_S = 60.0  # that a learner gets to end by itself
PATIENCE_S = 900.0  # that a learner waits for the others before it gives up


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """What all learners of a run have in common; `threads` and `feeders` are those of each."""

    pool: FacePool
    recipe: Recipe
    run: Path
    seed: int
    steps: range
    threads: int
    feeders: int

    def batches(self, rank: int) -> Iterator[tuple[int, UInt8Array, Float32Array]]:
        """Step, images and labels (see `draw_batch`) for learner `rank`; no two learners share a batch."""
        steps, learners = self.steps, self.recipe.learners
        numbers = range(steps.start * learners + rank, steps.stop * learners + rank, learners)
        drawn = batches(self.pool, self.recipe, self.seed, numbers, processes=self.feeders)
        for step, (images, labels) in enumerate(drawn, self.steps.start + 1):
            yield step, images, labels

    def averages_after(self, step: int) -> bool:
        """Whether learners average after `step`: every few steps, and at the end of an epoch."""
        return self.recipe.learners > 1 and (step % EVERY == 0 or step % self.recipe.steps == 0)


class Exchange:
    """Where learners meet: one float32 row of shared memory for each, and a barrier."""

    def __init__(self, learners: int, length: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.learners, self.length = learners, length
        self.memory: Any = RawArray(ctypes.c_float, learners * length)
        self.barrier: Barrier = context.Barrier(learners)

    def average(self, model: keras.Model, rank: int) -> None:
        """Give every learner's model the mean of all; DataError when one of them is gone."""
        rows = np.frombuffer(self.memory, np.float32).reshape(self.learners, self.length)
        state = moving_state(model)
        flat = np.concatenate([keras.ops.convert_to_numpy(variable).ravel() for variable in state])
        rows[rank, : len(flat)] = flat
        try:
            self.barrier.wait(PATIENCE_S)
            mean = rows[:, : len(flat)].mean(axis=0)
            self.barrier.wait(PATIENCE_S)  # nobody writes the next row before all have read this one
        except threading.BrokenBarrierError:
            raise DataError("A learner is gone; run the same command again to go on from the checkpoint.") from None
        at = 0
        for variable in state:
            count = int(np.prod(variable.shape))
            variable.assign(mean[at : at + count].reshape(variable.shape))
            at += count


@contextmanager
def peers(course: Course, model: keras.Model) -> Iterator[Exchange]:
    """The other learners of a run whose `model` starts at the same checkpoint; they end with the block."""
    learners = course.recipe.learners
    exchange = Exchange(learners, _MOST_STATES * sum(int(np.prod(variable.shape)) for variable in model.variables))
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_train, args=(exchange, course, rank)) for rank in range(1, learners)]
    for process in others:
        process.start()
    try:
        yield exchange
    finally:
        exchange.barrier.abort()
        for process in others:
            process.join(_FAREWELL_S)
            process.terminate()


def _train(exchange: Exchange, course: Course, rank: int) -> None:
    end_with_parent()
    try:
        use_fast_arithmetic(course.threads, course.recipe.mixed_precision)
        model = start(course.recipe, course.run, course.seed)
        for step, images, labels in course.batches(rank):
            learn(model, images, labels, course.recipe)
            if course.averages_after(step):
                exchange.average(model, rank)
            if step % course.recipe.steps == 0:
                thaw(model, course.recipe, step // course.recipe.steps)
    except (DataError, KeyboardInterrupt):
        exchange.barrier.abort()  # the first learner says what happened
    except BaseException:
        exchange.barrier.abort()
        raise
