"""Adaptive sharpness-aware minimisation (Kwon et al., ICML 2021, arXiv:2102.11600), on any backend of Keras.

A step takes the gradient not where the weights are, but where the loss is highest near them (Foret et al., ICLR 2021,
arXiv:2010.01412). Near is relative to the size of each weight: with one radius for all, layers whose normalisation is
folded into their weights are thrown so far that all their units die. Keras offers no gradient that all backends share,
only optimizers: so the way up is the step of an optimizer of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from dfd_core.types import Float32Array
from trainer.networks.keras_patches import averages_of

_LEAST = 0.01  # counts as the size of weights that are smaller, added to that of all: biases begin at zero


class Ascent(keras.optimizers.Optimizer):
    """Moves all weights up the gradient: in units of their own sizes, by `radius` in all (Euclidean norm)."""

    def __init__(self, radius: float) -> None:
        super().__init__(learning_rate=1.0, name="ascent")
        self.radius = radius

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """One step up."""
        ops = keras.ops
        variables = self._trainable_variables if trainable_variables is None else trainable_variables
        sizes = [ops.abs(ops.cast(v, "float32")) + _LEAST for v in variables]
        slopes = [size * ops.cast(g, "float32") for size, g in zip(sizes, grads, strict=True)]
        norm = ops.sqrt(sum(ops.sum(ops.square(slope)) for slope in slopes))
        scale = self.radius / ops.maximum(norm, 1e-12)
        super().apply([scale * size * slope for size, slope in zip(sizes, slopes, strict=True)], trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Add the scaled gradient."""
        self.assign_add(variable, keras.ops.cast(gradient, variable.dtype))


class SharpnessAware:
    """The same layers as those of a compiled `model`, with the optimizer that goes up."""

    def __init__(self, model: keras.Model, radius: float) -> None:
        self._model = model
        self._climber = keras.Model(model.input, model.output)
        self._climber.compile(Ascent(radius), model.loss, jit_compile=model.jit_compile, run_eagerly=model.run_eagerly)

    @contextmanager
    def step(self, images: Float32Array, labels: Float32Array) -> Iterator[None]:
        """Around one `train_on_batch` of the model on the same batch: it moves there from the place of highest loss."""
        model = self._model
        variables = model.trainable_variables
        before = [_array(variable) for variable in variables]
        momentum = (
            model.optimizer.ema_momentum if int(model.optimizer.iterations) else 0.0
        )  # it begins with the weights
        self._climber.train_on_batch(images, labels)
        shifts = [_array(variable) - start for variable, start in zip(variables, before, strict=True)]
        yield
        for variable, shift in zip(variables, shifts, strict=True):
            variable.assign(_array(variable) - shift)
        for (_, average), shift in zip(averages_of(model), shifts, strict=False):
            average.assign(_array(average) - (1 - momentum) * shift)  # it has taken in the shifted weight


def _array(variable: Any) -> Float32Array:
    return np.array(keras.ops.convert_to_numpy(variable), np.float32)  # a copy: backends may give a view
