"""The training loop: Keras 3 on any backend, resumable at every checkpoint, the best averaged weights kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import keras

from dfd_core.errors import DataError
from trainer.data.face_pool import TRAIN, VALIDATION, FacePool
from trainer.networks.arithmetic import use_fast_arithmetic
from trainer.networks.serving import as_served
from trainer.networks.trained import load_network, save
from trainer.networks.weights import BEST, CHECKPOINT
from trainer.training.devices import use_devices
from trainer.training.prefetch import Batch, batches
from trainer.training.recipes import Recipe
from trainer.training.run_log import RunLog, keep_thresholds
from trainer.training.step import Learner
from trainer.training.validation import real_set, validation_set


@dataclass(frozen=True, slots=True)
class Machine:
    """What a run may use."""

    threads: int = 1  # of the arithmetic on a CPU, with PyTorch
    feeders: int = 2  # processes that make samples
    devices: int = 1  # that share each step, with JAX


@dataclass(frozen=True, slots=True)
class Given:
    """Networks in files (.keras) that a run learns from."""

    start: Path | None = None  # it begins with its weights, and without with ImageNet's
    teacher: Path | None = None  # it learns what that says beside the labels


def fit(
    pool: FacePool,
    recipe: Recipe,
    run: Path,
    seed: int,
    report: Callable[[str], None],
    *,
    machine: Machine | None = None,
    checkpoint_s: float = 300.0,
    given: Given | None = None,
) -> keras.Model:
    """Train into the folder `run`, going on from its checkpoint if there is one; the best weights, as they serve.

    DataError when the loss is not finite, or the data lacks what the recipe trains on; the last checkpoint stays.
    """
    machine, given, plan = machine or Machine(), given or Given(), recipe.optimisation
    use_devices(machine.devices, recipe.sampling.faces_a_step)
    use_fast_arithmetic(machine.threads, plan.mixed_precision)
    run.mkdir(parents=True, exist_ok=True)
    training, held_out = (recipe.sampler(pool.only(pool.splits == s)) for s in (TRAIN, VALIDATION))
    kinds = ", ".join(f"{share:.0%} {kind.replace('_', '-')}" for kind, share in training.shares.items())
    learner = Learner.begin(recipe, run, seed)
    if given.start is not None and not (run / CHECKPOINT).is_file():
        learner.take_weights(given.start)
    if given.teacher is not None:
        learner.take_teacher(given.teacher)
    steps = range(learner.steps, plan.all_steps)
    faces = f"{len(training.pool)} faces ({kinds} fakes), {len(held_out.pool)} held out"
    report(f"{faces}, from step {steps.start} of {steps.stop}")
    log = RunLog(run, recipe, steps, validation_set(held_out, plan.steps, seed), report)
    if not log.is_over() and steps:
        with closing(batches(training, seed, steps, feeders=machine.feeders)) as drawn:
            _train(learner, drawn, log, checkpoint_s)
    if not (run / BEST).is_file():
        raise DataError(f"{run} ended before an epoch was measured: delete its {CHECKPOINT} to train anew.")
    return as_served(load_network(run / BEST), recipe.architecture)


def set_thresholds(
    pool: FacePool, recipe: Recipe, run: Path, seed: int, served: keras.Model, *, report: Callable[[str], None]
) -> None:
    """Keep in the folder `run` the thresholds of its network, as `fit` gave it, on held-out real faces of the pool."""
    held_out = recipe.sampler(pool.only(pool.splits == VALIDATION), int(served.input_shape[1]))
    keep_thresholds(run, served, real_set(held_out, recipe.optimisation.steps, seed), report)


def _train(learner: Learner, drawn: Iterator[Batch], log: RunLog, checkpoint_s: float) -> None:
    """Learn batch after batch to their end or the log's; a checkpoint each epoch and `checkpoint_s`."""
    an_epoch, saved = log.recipe.optimisation.steps, time.monotonic()
    for step, (images, labels) in enumerate(drawn, log.steps.start + 1):
        log.note(step, learner.learn(images, labels))
        ends_epoch = step % an_epoch == 0
        if ends_epoch:
            averaged = learner.averaged()
            if log.end_epoch(step, averaged):
                save(averaged, log.run / BEST)
            learner.thaw(step // an_epoch)
        if ends_epoch or time.monotonic() - saved > checkpoint_s:
            learner.save(log.run)
            saved = time.monotonic()
        if ends_epoch and log.is_over():
            break
