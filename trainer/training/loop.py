"""The training loop: Keras 3 on any backend, resumable at every checkpoint, the best averaged weights kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from dfd_core.errors import DataError
from dfd_core.types import Float32Array, UInt8Array
from trainer.data.face_pool import TRAIN, VALIDATION, FacePool
from trainer.fakes.sampler import MADE, draw_pair, draw_real, labels_of, shares_of
from trainer.networks.arithmetic import use_fast_arithmetic
from trainer.networks.serving import as_served
from trainer.networks.trained import averaged_weights, load_network, save
from trainer.networks.weights import BEST, CHECKPOINT
from trainer.training.parallel import Course, peers
from trainer.training.recipes import Recipe
from trainer.training.run_log import Journal
from trainer.training.step import begin_with, learn, start, thaw

_DRAWS = 16  # of each held-out real face: thresholds lie in the tail of their scores, where few are
_MOST_REALS = 300  # of these
_MOST_PAIRS = 1200  # held out
_VALIDATION_SEED = 20_000_000  # far from any training step, so that no validation draw repeats one


def fit(
    pool: FacePool,
    recipe: Recipe,
    run: Path,
    seed: int,
    say: Callable[[str], None],
    *,
    threads: int = 1,
    feeders: int = 2,
    checkpoint_s: float = 300.0,
    initial: Path | None = None,
) -> keras.Model:
    """Train into the folder `run`, going on from its checkpoint if there is one; the best weights, as they serve.

    `threads` and `feeders` are those of each of the recipe's learners; a new run starts from the network in the file
    `initial`, where one is given, else from ImageNet's. DataError when the loss is not finite, a
    learner is lost, or the data lacks what the recipe trains on; the last checkpoint stays.
    """
    use_fast_arithmetic(threads, recipe.mixed_precision)
    run.mkdir(parents=True, exist_ok=True)
    training, held_out = (pool.only(pool.splits == split) for split in (TRAIN, VALIDATION))
    kinds = ", ".join(
        f"{share:.0%} {kind.replace('_', '-')}" for kind, share in shares_of(training, recipe.fakes).items()
    )
    model = start(recipe, run, seed)
    if initial is not None and not (run / CHECKPOINT).is_file():
        begin_with(model, initial, recipe)
        save(model, run / CHECKPOINT)  # from where all learners start
    steps = range(int(model.optimizer.iterations), recipe.epochs * recipe.steps)
    say(f"{len(training)} faces ({kinds} fakes), {len(held_out)} held out, from step {steps.start} of {steps.stop}")
    journal = Journal(run, recipe, steps, validation_set(held_out, recipe, seed), say)
    if journal.is_over():
        steps = range(steps.stop, steps.stop)
    if steps:
        _train(model, Course(training, recipe, run, seed, steps, threads, feeders), journal, checkpoint_s)
    if not (run / BEST).is_file():
        raise DataError(f"{run} ended before an epoch was measured: delete its {CHECKPOINT} to train anew.")
    best = load_network(run / BEST)
    served = as_served(best, asdict(recipe))
    journal.close(served, real_set(held_out, replace(recipe, size=int(served.input_shape[1])), seed))
    return served


def _train(model: keras.Model, course: Course, journal: Journal, checkpoint_s: float) -> None:
    """Learn batch after batch to the course's end or the journal's; a checkpoint each epoch and `checkpoint_s`."""
    recipe = journal.recipe
    with peers(course, model) as exchange:
        saved = time.monotonic()
        for step, images, labels in course.batches(0):
            journal.note(step, learn(model, images, labels, recipe))
            averages = course.averages_after(step)
            if averages:
                exchange.average(model, 0)
            ends_epoch = step % recipe.steps == 0
            if ends_epoch:
                averaged = averaged_weights(model)
                if journal.end_epoch(step, averaged):
                    save(averaged, journal.run / BEST)
                thaw(model, recipe, step // recipe.steps)
            due = time.monotonic() - saved > checkpoint_s and (averages or recipe.learners == 1)
            if ends_epoch or due:
                save(model, journal.run / CHECKPOINT)
                saved = time.monotonic()
            if ends_epoch and journal.is_over():
                break


def validation_set(pool: FacePool, recipe: Recipe, seed: int) -> tuple[UInt8Array, Float32Array]:
    """Pairs of held-out faces, always the same: uint8 (2 N, S, S, 3) and labels float32 (2 N, 1)."""
    rng = np.random.default_rng([seed, _VALIDATION_SEED])
    shares, most = shares_of(pool, recipe.fakes), min(len(pool), 8 * recipe.steps, _MOST_PAIRS)
    pairs = []
    for kind, share in shares.items():
        rows = pool.reals if kind in MADE else pool.fakes[kind]
        for index in _spread(rows, max(1, round(share * most))):
            pairs.append(draw_pair(pool, kind, recipe, rng, int(index)))
    return np.concatenate(pairs), labels_of(len(pairs))


def real_set(pool: FacePool, recipe: Recipe, seed: int) -> UInt8Array:
    """Held-out real faces, each degraded in several ways, always the same: uint8 (N, S, S, 3)."""
    rng = np.random.default_rng([seed, _VALIDATION_SEED, 1])
    rows = _spread(pool.reals, min(_MOST_REALS, 8 * recipe.steps))
    return np.stack([draw_real(pool, recipe, rng, int(row)) for _ in range(_DRAWS) for row in rows])


def _spread(rows: npt.NDArray[np.intp], most: int) -> npt.NDArray[np.intp]:
    """At most that many of `rows` (N,), from all over."""
    return rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)]
