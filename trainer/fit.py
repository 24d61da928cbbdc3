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
from trainer.backbones import build_detector, freeze
from trainer.feed import batches
from trainer.pool import FacePool
from trainer.recipes import Recipe
from trainer.samples import draw_pair

CHECKPOINT = "checkpoint.keras"
BEST = "best.keras"
HISTORY = "history.csv"
THRESHOLDS = "thresholds.json"
_COLUMNS = ("step", "epoch", "loss", "validation_auc", "images_per_s")
_VALIDATION_SEED = 20_000_000  # far from any training step, so that no validation draw repeats one


@keras.saving.register_keras_serializable("dfd")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up over the first tenth of `steps` to `peak`, then a cosine down to nothing (Smith, 2018)."""

    def __init__(self, peak: float, steps: int) -> None:
        self.peak, self.steps = peak, steps

    def __call__(self, step: object) -> object:
        """The rate at `step`."""
        ops = keras.ops
        done = ops.cast(step, "float32") / float(self.steps)
        warm = done / 0.1
        cool = 0.5 * (1 + ops.cos(np.pi * ops.clip((done - 0.1) / 0.9, 0.0, 1.0)))
        return self.peak * ops.maximum(ops.minimum(warm, 1.0) * ops.where(done < 0.1, 1.0, cool), 1e-3)

    def get_config(self) -> dict[str, object]:
        """What rebuilds it."""
        return {"peak": self.peak, "steps": self.steps}


def use_fast_arithmetic(threads: int) -> None:
    """Bfloat16 with float32 weights, and, under PyTorch, denormals as zeros: a factor of four on a CPU with AMX."""
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    if keras.backend.backend() == "torch":
        import torch

        torch.set_flush_denormal(True)
        torch.set_num_threads(threads)


def fit(
    pool: FacePool,
    recipe: Recipe,
    run: Path,
    seed: int,
    say: Callable[[str], None],
    *,
    feeders: int = 2,
    checkpoint_s: float = 300.0,
) -> keras.Model:
    """Train into the folder `run`, going on from its checkpoint if there is one; the model with the best weights.

    DataError when the loss is not finite; the last checkpoint stays.
    """
    keras.utils.set_random_seed(seed)
    training = pool.select(lambda source: source not in recipe.held_out)
    held_out = pool.select(lambda source: source in recipe.held_out)
    if not len(training) or not len(held_out):
        raise DataError(f"The data needs faces of the held-out sources ({', '.join(recipe.held_out)}) and of others.")
    validation = _validation_set(held_out, recipe, seed)
    model = _start(recipe, run)
    first = int(model.optimizer.iterations)
    total = recipe.epochs * recipe.steps
    say(f"{len(training)} faces, {len(held_out)} held out, from step {first} of {total}")
    losses: list[float] = []
    saved = started = time.monotonic()
    for step, (images, labels) in enumerate(
        batches(training, recipe, recipe.size, seed, range(first, total), processes=feeders), first + 1
    ):
        smooth = labels * (1 - 2 * recipe.label_smoothing) + recipe.label_smoothing
        loss = float(model.train_on_batch(images.astype(np.float32), smooth))
        if not np.isfinite(loss):
            raise DataError(f"The loss is not finite at step {step}; {run / CHECKPOINT} holds the last good weights.")
        losses.append(loss)
        rate = (step - first) * len(images) / (time.monotonic() - started)
        if step % 10 == 0 or step == total:
            say(f"step {step}/{total}  loss {np.mean(losses[-50:]):.4f}  {rate:.1f} images/s")
        ends_epoch = step % recipe.steps == 0 or step == total
        if ends_epoch:
            auc = roc_auc_score(validation[1][:, 0], _scores(averaged_weights(model), validation[0]))
            _append(run / HISTORY, (step, -(-step // recipe.steps), float(np.mean(losses)), float(auc), rate))
            say(f"epoch {-(-step // recipe.steps)}/{recipe.epochs}  loss {np.mean(losses):.4f}  held-out AUC {auc:.4f}")
            losses.clear()
        if ends_epoch or time.monotonic() - saved > checkpoint_s:
            save(model, run / CHECKPOINT)
            saved = time.monotonic()
    averaged = averaged_weights(model)
    save(averaged, run / BEST)
    thresholds = thresholds_from(_scores(averaged, validation[0])[validation[1][:, 0] == 0])
    (run / THRESHOLDS).write_text(json.dumps(asdict(thresholds)) + "\n", encoding="utf-8")
    say(f"an alarm begins at {thresholds.enter} and ends below {thresholds.exit}")
    return averaged


def thresholds_from(logits: Float32Array) -> Thresholds:
    """Thresholds from the logits (N,) of held-out real pictures: 5 % of them are above `enter`, 10 % above `exit`.

    A window averages many frames, so of windows it is fewer, as long as the video is like the pictures.
    """
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
    enter, exit_ = np.quantile(probabilities, (0.95, 0.90))
    return Thresholds(enter=round(float(enter), 3), exit=round(float(exit_), 3))


def averaged_weights(model: keras.Model) -> keras.Model:
    """A copy of the trained model, without optimizer, that holds the exponential moving average of the weights."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    averages = getattr(model.optimizer, "_model_variables_moving_average", [])
    for own, average in zip(copy.trainable_variables, averages, strict=False):
        own.assign(average)
    return copy


def save(model: keras.Model, path: Path) -> None:
    """Write the model beside `path` first, so that a kill never leaves half a file."""
    part = path.with_name(f".{path.name}.part.keras")
    model.save(part)
    os.replace(part, path)


def _start(recipe: Recipe, run: Path) -> keras.Model:
    run.mkdir(parents=True, exist_ok=True)
    schedule = OneCycle(recipe.peak_rate, recipe.epochs * recipe.steps)
    if (run / CHECKPOINT).is_file():
        model = keras.models.load_model(run / CHECKPOINT)
        model.optimizer.learning_rate = schedule  # of the recipe as it is now, if its length was changed
        return model
    model = build_detector(recipe.dropout, recipe.size)
    freeze(model, recipe.frozen)
    model.compile(
        optimizer=keras.optimizers.AdamW(
            schedule, weight_decay=recipe.weight_decay, clipnorm=1.0, use_ema=True, ema_momentum=recipe.ema
        ),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=keras.backend.backend() == "jax",  # XLA's depthwise convolutions are slow on a CPU
        run_eagerly=recipe.epochs * recipe.steps < 10,  # tracing a graph would take longer than the steps
    )
    return model


def _validation_set(pool: FacePool, recipe: Recipe, seed: int) -> tuple[UInt8Array, Float32Array]:
    rng = np.random.default_rng([seed, _VALIDATION_SEED])
    pairs = [draw_pair(pool, index, recipe, recipe.size, rng) for index in range(min(len(pool), 8 * recipe.steps))]
    return np.concatenate(pairs), np.tile(np.array([[0.0], [1.0]], np.float32), (len(pairs), 1))


def _scores(model: keras.Model, images: UInt8Array) -> Float32Array:
    """Logits float32 (N,) of pictures uint8 (N, S, S, 3)."""
    parts = [model(images[n : n + 32].astype(np.float32), training=False) for n in range(0, len(images), 32)]
    return np.concatenate([keras.ops.convert_to_numpy(part) for part in parts])[:, 0].astype(np.float32)


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
