"""The training loop: Keras 3 on any backend, resumable at every checkpoint, averaged weights kept."""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
from sklearn.metrics import roc_auc_score

from dfd_core.errors import DataError
from dfd_core.types import Float32Array, Thresholds, UInt8Array
from trainer.learner import CHECKPOINT, averaged_weights, learn, start, use_fast_arithmetic
from trainer.peers import Course, peers
from trainer.pool import FacePool
from trainer.recipes import Recipe
from trainer.samples import draw_pair

BEST = "best.keras"
HISTORY = "history.csv"
THRESHOLDS = "thresholds.json"
_COLUMNS = ("step", "epoch", "loss", "validation_auc", "images_per_s")
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
) -> keras.Model:
    """Train into the folder `run`, going on from its checkpoint if there is one; the model with the best weights.

    `threads` and `feeders` are those of each of the recipe's learners. DataError when the loss is not finite or a
    learner is lost; the last checkpoint stays.
    """
    use_fast_arithmetic(threads)
    run.mkdir(parents=True, exist_ok=True)
    training = pool.select(lambda source: source not in recipe.held_out)
    held_out = pool.select(lambda source: source in recipe.held_out)
    if not len(training) or not len(held_out):
        raise DataError(f"The data needs faces of the held-out sources ({', '.join(recipe.held_out)}) and of others.")
    model = start(recipe, run, seed)
    steps = range(int(model.optimizer.iterations), recipe.epochs * recipe.steps)
    say(f"{len(training)} faces, {len(held_out)} held out, from step {steps.start} of {steps.stop}")
    journal = Journal(run, recipe, steps, validation_set(held_out, recipe, seed), say)
    course = Course(training, recipe, run, seed, steps, threads, feeders)
    with peers(course, model) as exchange:
        saved = time.monotonic()
        for step, images, labels in course.batches(0):
            journal.note(step, learn(model, images, labels, recipe))
            averages = course.averages_after(step)
            if averages:
                exchange.average(model, 0)
            ends_epoch = step % recipe.steps == 0
            if ends_epoch:
                journal.end_epoch(step, averaged_weights(model))
            due = time.monotonic() - saved > checkpoint_s and (averages or recipe.learners == 1)
            if ends_epoch or due:
                save(model, run / CHECKPOINT)
                saved = time.monotonic()
    averaged = averaged_weights(model)
    save(averaged, run / BEST)
    journal.close(averaged)
    return averaged


class Journal:
    """What a run tells on its way: a line every ten steps, a row of history an epoch, thresholds at the end."""

    def __init__(
        self,
        run: Path,
        recipe: Recipe,
        steps: range,
        validation: tuple[UInt8Array, Float32Array],
        say: Callable[[str], None],
    ) -> None:
        self.run, self.recipe, self.steps, self.validation, self.say = run, recipe, steps, validation, say
        self.losses: list[float] = []
        self.started = time.monotonic()

    def note(self, step: int, loss: float) -> None:
        """One step is done."""
        self.losses.append(loss)
        if step % 10 == 0 or step == self.steps.stop:
            mean = np.mean(self.losses[-50:])
            self.say(f"step {step}/{self.steps.stop}  loss {mean:.4f}  {self._rate(step):.1f} images/s")

    def end_epoch(self, step: int, averaged: keras.Model) -> None:
        """Measure the averaged weights on the held-out pairs, and keep a row of it."""
        images, labels = self.validation
        auc, loss = float(roc_auc_score(labels[:, 0], scores_of(averaged, images))), float(np.mean(self.losses))
        epoch = step // self.recipe.steps
        _append(self.run / HISTORY, (step, epoch, loss, auc, self._rate(step)))
        self.say(f"epoch {epoch}/{self.recipe.epochs}  loss {loss:.4f}  held-out AUC {auc:.4f}")
        self.losses.clear()

    def close(self, averaged: keras.Model) -> None:
        """Keep the thresholds of the trained model."""
        images, labels = self.validation
        thresholds = thresholds_from(scores_of(averaged, images[labels[:, 0] == 0]))
        (self.run / THRESHOLDS).write_text(json.dumps(asdict(thresholds)) + "\n", encoding="utf-8")
        self.say(f"an alarm begins at {thresholds.enter} and ends below {thresholds.exit}")

    def _rate(self, step: int) -> float:
        images = (step - self.steps.start) * 2 * self.recipe.pairs * self.recipe.learners
        return images / (time.monotonic() - self.started)


def thresholds_from(logits: Float32Array) -> Thresholds:
    """Thresholds from the logits (N,) of held-out real pictures: 5 % of them are above `enter`, 10 % above `exit`.

    A window averages many frames, so of windows it is fewer, as long as the video is like the pictures.
    """
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
    enter, exit_ = np.quantile(probabilities, (0.95, 0.90))
    return Thresholds(enter=round(float(enter), 3), exit=round(float(exit_), 3))


def save(model: keras.Model, path: Path) -> None:
    """Write the model beside `path` first, so that a kill never leaves half a file."""
    part = path.with_name(f".{path.name}.part.keras")
    model.save(part)
    os.replace(part, path)


def validation_set(pool: FacePool, recipe: Recipe, seed: int) -> tuple[UInt8Array, Float32Array]:
    """Pairs of held-out pictures, always the same: uint8 (2 N, S, S, 3) and labels float32 (2 N, 1)."""
    rng = np.random.default_rng([seed, _VALIDATION_SEED])
    pairs = [draw_pair(pool, index, recipe, recipe.size, rng) for index in range(min(len(pool), 8 * recipe.steps))]
    return np.concatenate(pairs), np.tile(np.array([[0.0], [1.0]], np.float32), (len(pairs), 1))


def scores_of(model: keras.Model, images: UInt8Array) -> Float32Array:
    """Logits float32 (N,) of pictures uint8 (N, S, S, 3)."""
    parts = [model.predict_on_batch(images[n : n + 32].astype(np.float32)) for n in range(0, len(images), 32)]
    return np.concatenate(parts)[:, 0].astype(np.float32)


def _append(path: Path, row: tuple[float, ...]) -> None:
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        if fresh:
            writer.writerow(_COLUMNS)
        writer.writerow([f"{value:.5g}" if isinstance(value, float) else value for value in row])


def write_run_card(run: Path, facts: dict[str, object]) -> None:
    """Keep what the run was made from (recipe, data fingerprint, seed, commit, versions) in `run/run.json`."""
    (run / "run.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
