"""A detector in training and its step on a batch; Keras 3 on any backend."""

from __future__ import annotations

from contextlib import nullcontext
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
from trainer.networks.trained import averaged_weights, load_network, save
from trainer.networks.weights import CHECKPOINT
from trainer.training.optimisation import Optimisation
from trainer.training.recipes import Recipe
from trainer.training.sharpness import SharpnessAware


class Learner:
    """A detector with its optimizer and the moving averages of its weights; it is handed batches."""

    def __init__(self, model: keras.Model, plan: Optimisation) -> None:
        """Take over a `model` that was compiled as `plan` says, see `begin`."""
        self.model, self._plan = model, plan
        self._sharpness = SharpnessAware(model, plan.sharpness) if plan.sharpness else None
        self._teacher: keras.Model | None = None

    @classmethod
    def begin(cls, recipe: Recipe, run: Path, seed: int) -> Learner:
        """From the run's checkpoint, or with a new detector, the same for every call.

        DataError where the checkpoint is damaged, or the weights that the recipe starts from cannot be had.
        """
        keras.utils.set_random_seed(seed)
        design, plan = recipe.architecture, recipe.optimisation
        if (run / CHECKPOINT).is_file():
            model = load_network(run / CHECKPOINT)
            model.optimizer.learning_rate = _rate(plan)  # of the recipe as it is now, if its length was changed
        else:
            model = build_detector(design.dropout, design.size, design.pretrained, design.modalities, design.backbone)
            freeze(model, plan.frozen_stages(0))
            _compile(model, plan)
        return cls(model, plan)

    @property
    def steps(self) -> int:
        """That it has taken."""
        return int(self.model.optimizer.iterations)

    def take_weights(self, weights: Path) -> None:
        """Begin with the network in the file `weights` (.keras): its weights, and averages that are the same.

        Channels that the recipe derives and that network did not see begin at zero. DataError where they do not fit,
        and where such channels would stay at zero because the recipe never trains the first stage.
        """
        shapes, given = [tuple(w.shape) for w in self.model.weights], load_network(weights).get_weights()
        if given[0].shape[:2] == shapes[0][:2] and given[0].ndim == len(shapes[0]) == 4:
            added = max(0, shapes[0][2] - given[0].shape[2])
            if added and all(stages for _, stages in self._plan.frozen):
                raise DataError(
                    "New channels begin at zero, and would stay there while the first stage keeps its weights: train "
                    "it (--change frozen=[[0,0]])."
                )
            given[0] = widened(given[0], added)
        if [w.shape for w in given] != shapes:
            raise DataError(f"The network in {weights} is not that of the recipe: start from one of the same backbone.")
        self.model.set_weights(given)
        for variable, average in averages_of(self.model):
            average.assign(variable)

    def take_teacher(self, weights: Path) -> None:
        """Learn what the network in the file `weights` (.keras) says, too (Hinton et al., 2015, arXiv:1503.02531).

        DataError where it looks at pictures of another size.
        """
        self._teacher = load_network(weights)
        sides = [int(network.input_shape[1]) for network in (self._teacher, self.model)]
        if sides[0] != sides[1]:
            raise DataError(
                f"The teacher in {weights} looks at {sides[0]} px, the recipe at {sides[1]}: train it alike."
            )

    def learn(self, images: UInt8Array, labels: Float32Array) -> float:
        """A step on images uint8 (B, S, S, 3) and labels float32 (B, 1); its loss, DataError when it is not finite."""
        given = images.astype(np.float32)
        wanted = self._wanted(given, labels)
        with self._sharpness.step(given, wanted) if self._sharpness else nullcontext():
            loss = float(self.model.train_on_batch(given, wanted))
        if not np.isfinite(loss):
            raise DataError(
                f"The loss is not finite at step {self.steps}: lower the recipe's rate; the last checkpoint holds good "
                "weights."
            )
        return loss

    def _wanted(self, images: Float32Array, labels: Float32Array) -> Float32Array:
        """Probabilities float32 (B, 1) to learn: smoothed labels, and a teacher's share of its own."""
        plan = self._plan
        smooth = labels * (1 - 2 * plan.label_smoothing) + plan.label_smoothing
        if self._teacher is None:
            return smooth
        said = 1 / (1 + np.exp(-np.asarray(self._teacher.predict_on_batch(images), np.float32)))
        return np.asarray(smooth + plan.teacher_share * (said - smooth), np.float32)

    def thaw(self, epoch: int) -> None:
        """Freeze what the recipe freezes in `epoch`; where that changes, the optimizer's moments start anew."""
        model, plan = self.model, self._plan
        if epoch == 0 or plan.frozen_stages(epoch) == plan.frozen_stages(epoch - 1):
            return
        steps, averages = self.steps, self.averaged().get_weights()
        freeze(model, plan.frozen_stages(epoch))
        _compile(model, plan)
        model.optimizer.iterations.assign(steps)
        kept = dict(zip((id(v) for v in model.weights), averages, strict=True))
        for variable, average in averages_of(model):
            average.assign(kept[id(variable)])
        self._sharpness = SharpnessAware(model, plan.sharpness) if plan.sharpness else None

    def averaged(self) -> keras.Model:
        """A copy, without optimizer, that holds the moving averages of the weights."""
        return averaged_weights(self.model)

    def save(self, run: Path) -> None:
        """Keep all that going on needs as the run's checkpoint; DataError for a full disk."""
        save(self.model, run / CHECKPOINT)


def _rate(plan: Optimisation) -> Any:
    return OneCycle(plan.rate, plan.all_steps) if plan.one_cycle else plan.rate


def _compile(model: keras.Model, plan: Optimisation) -> None:
    kinds = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}
    decay = {"weight_decay": plan.weight_decay} if plan.optimizer == "adamw" else {}
    average = {"use_ema": True, "ema_momentum": plan.ema} if plan.ema else {}
    optimizer = kinds[plan.optimizer](_rate(plan), clipnorm=1.0, **decay, **average)
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=keras.backend.backend() == "jax",  # XLA's depthwise convolutions are slow on a CPU
        run_eagerly=plan.all_steps < 10,  # tracing a graph would take longer than the steps
    )
    optimizer.build(model.trainable_variables)
