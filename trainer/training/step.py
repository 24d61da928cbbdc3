"""One learner: a detector with its optimizer, and a step of training on a batch; Keras 3 on any backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from dfd_core.errors import DataError
from dfd_core.models.fuse import widened
from dfd_core.types import Float32Array, UInt8Array
from trainer.networks.backbones import build_detector, freeze
from trainer.networks.keras_patches import averages_of
from trainer.networks.one_cycle import OneCycle
from trainer.networks.trained import averaged_weights, load_network
from trainer.networks.weights import CHECKPOINT
from trainer.training.recipes import Recipe
from trainer.training.sharpness import sharpness_aware


def start(recipe: Recipe, run: Path, seed: int) -> keras.Model:
    """A compiled detector: that of the run's checkpoint, or a new one, the same for every call.

    DataError where the checkpoint is damaged, or the weights that the recipe starts from cannot be had.
    """
    keras.utils.set_random_seed(seed)
    if (run / CHECKPOINT).is_file():
        model = load_network(run / CHECKPOINT)
        model.optimizer.learning_rate = _rate(recipe)  # of the recipe as it is now, if its length was changed
        return model
    model = build_detector(recipe.dropout, recipe.size, recipe.pretrained, recipe.modalities, recipe.backbone)
    freeze(model, recipe.frozen_stages(0))
    _compile(model, recipe)
    return model


def begin_with(model: keras.Model, weights: Path, recipe: Recipe) -> None:
    """Give a fresh model, and its moving averages, the weights of the network in the file `weights` (.keras).

    Channels that the recipe derives and that network did not see begin at zero. DataError where they do not fit, and
    where such channels would stay at zero because the recipe never trains the first stage.
    """
    shapes, given = [tuple(w.shape) for w in model.weights], load_network(weights).get_weights()
    if given[0].shape[:2] == shapes[0][:2] and given[0].ndim == len(shapes[0]) == 4:
        added = max(0, shapes[0][2] - given[0].shape[2])
        if added and all(stages for _, stages in recipe.frozen):
            raise DataError(
                "New channels begin at zero, and would stay there while the first stage keeps its weights: train it "
                "(--change frozen=[[0,0]])."
            )
        given[0] = widened(given[0], added)
    if [w.shape for w in given] != shapes:
        raise DataError(f"The network in {weights} is not that of the recipe: start from one of the same backbone.")
    model.set_weights(given)
    for variable, average in averages_of(model):
        average.assign(variable)


def thaw(model: keras.Model, recipe: Recipe, epoch: int) -> None:
    """Freeze what the recipe freezes in `epoch`; where that changes, the optimizer's moments start anew."""
    if epoch == 0 or recipe.frozen_stages(epoch) == recipe.frozen_stages(epoch - 1):
        return
    step, averages = int(model.optimizer.iterations), averaged_weights(model).get_weights()
    freeze(model, recipe.frozen_stages(epoch))
    _compile(model, recipe)
    model.optimizer.iterations.assign(step)
    kept = dict(zip((id(v) for v in model.weights), averages, strict=True))
    for variable, average in averages_of(model):
        average.assign(kept[id(variable)])


def learn(model: keras.Model, images: UInt8Array, labels: Float32Array, recipe: Recipe) -> float:
    """One step on images uint8 (B, S, S, 3) and labels float32 (B, 1); its loss, DataError when it is not finite."""
    smooth = labels * (1 - 2 * recipe.label_smoothing) + recipe.label_smoothing
    given = images.astype(np.float32)
    with sharpness_aware(model, recipe.sharpness, given, smooth):
        loss = float(model.train_on_batch(given, smooth))
    if not np.isfinite(loss):
        step = int(model.optimizer.iterations)
        raise DataError(
            f"The loss is not finite at step {step}: lower the recipe's rate; the last checkpoint holds good weights."
        )
    return loss


def moving_state(model: keras.Model) -> list[Any]:
    """Every variable that a step changes by arithmetic: trained weights and the optimizer's moments and averages."""
    return model.trainable_variables + [v for v in model.optimizer.variables if len(v.shape)]


def _rate(recipe: Recipe) -> Any:
    return OneCycle(recipe.rate, recipe.epochs * recipe.steps) if recipe.one_cycle else recipe.rate


def _compile(model: keras.Model, recipe: Recipe) -> None:
    kinds = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}
    decay = {"weight_decay": recipe.weight_decay} if recipe.optimizer == "adamw" else {}
    average = {"use_ema": True, "ema_momentum": recipe.ema} if recipe.ema else {}
    optimizer = kinds[recipe.optimizer](_rate(recipe), clipnorm=1.0, **decay, **average)
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=keras.backend.backend() == "jax",  # XLA's depthwise convolutions are slow on a CPU
        run_eagerly=recipe.epochs * recipe.steps < 10,  # tracing a graph would take longer than the steps
    )
    optimizer.build(model.trainable_variables)
