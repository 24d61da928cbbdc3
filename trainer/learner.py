"""One learner: a detector with its optimizer, and a step of training on a batch; Keras 3 on any backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from dfd_core.errors import DataError
from dfd_core.types import Float32Array, UInt8Array
from trainer.backbones import build_detector, freeze
from trainer.recipes import Recipe

CHECKPOINT = "checkpoint.keras"


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


def start(recipe: Recipe, run: Path, seed: int) -> keras.Model:
    """A compiled detector: that of the run's checkpoint, or a new one on ImageNet weights, the same for every call."""
    keras.utils.set_random_seed(seed)
    schedule = OneCycle(recipe.peak_rate, recipe.epochs * recipe.steps)
    if (run / CHECKPOINT).is_file():
        model = keras.models.load_model(run / CHECKPOINT)
        model.optimizer.learning_rate = schedule  # of the recipe as it is now, if its length was changed
        return model
    model = build_detector(recipe.dropout, recipe.size)
    freeze(model, recipe.frozen)
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=recipe.weight_decay, clipnorm=1.0, use_ema=True, ema_momentum=recipe.ema
    )
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=keras.backend.backend() == "jax",  # XLA's depthwise convolutions are slow on a CPU
        run_eagerly=recipe.epochs * recipe.steps < 10,  # tracing a graph would take longer than the steps
    )
    optimizer.build(model.trainable_variables)
    return model


def learn(model: keras.Model, images: UInt8Array, labels: Float32Array, recipe: Recipe) -> float:
    """One step on images uint8 (B, S, S, 3) and labels float32 (B, 1); its loss, DataError when it is not finite."""
    smooth = labels * (1 - 2 * recipe.label_smoothing) + recipe.label_smoothing
    loss = float(model.train_on_batch(images.astype(np.float32), smooth))
    if not np.isfinite(loss):
        step = int(model.optimizer.iterations)
        raise DataError(f"The loss is not finite at step {step}; the last checkpoint holds good weights.")
    return loss


def averaged_weights(model: keras.Model) -> keras.Model:
    """A copy of the trained model, without optimizer, that holds the exponential moving average of the weights."""
    copy = keras.models.clone_model(model)
    copy.run_eagerly = True  # it answers for a few batches: tracing a graph would take longer
    copy.set_weights(model.get_weights())
    averages = getattr(model.optimizer, "_model_variables_moving_average", [])
    for own, average in zip(copy.trainable_variables, averages, strict=False):
        own.assign(average)
    return copy


def moving_state(model: keras.Model) -> list[Any]:
    """Every variable that a step changes by arithmetic: trained weights and the optimizer's moments and averages."""
    return model.trainable_variables + [v for v in model.optimizer.variables if len(v.shape)]
