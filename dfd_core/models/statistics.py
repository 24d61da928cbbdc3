"""Keras layers of the texture network: statistics of feature maps in the face and around it, and what they say."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from dfd_core.models.regions import regions
from dfd_core.types import Float32Array

STATISTICS = 4  # a channel
_LEAST_DEVIATION = 1e-3
_FAR = 5.0  # deviations: what lies beyond counts as that


@keras.saving.register_keras_serializable("dfd")
class RegionStatistics(keras.layers.Layer):  # type: ignore[misc]
    """Feature maps (B, h, w, C) to float32 (B, 4 C), whatever the policy.

    Of each channel the mean and the log of the standard deviation over the crop, and both in the face less what they
    are in its surround: what a picture went through as a whole changes both places alike.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, maps: Any) -> Any:
        """Means, log deviations, and the differences of both."""
        ops = keras.ops
        crop, face, surround = (_moments(maps, where) for where in regions(int(maps.shape[1]), int(maps.shape[2])))
        return ops.concatenate([*crop, face[0] - surround[0], face[1] - surround[1]], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, int]:
        """(B, 4 C)."""
        return input_shape[0], STATISTICS * int(input_shape[-1] or 0)


@keras.saving.register_keras_serializable("dfd")
class Discriminant(keras.layers.Layer):  # type: ignore[misc]
    """Float32 (B, D) to a logit (B, 1): standardised, cut off at 5 deviations, and weighed; it is set, not trained."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """The weights: means, inverse deviations and direction (D,), and the offset."""
        size = (int(input_shape[-1] or 0),)
        self.mean = self.add_weight(shape=size, initializer="zeros", trainable=False, name="mean")
        self.scale = self.add_weight(shape=size, initializer="ones", trainable=False, name="scale")
        self.direction = self.add_weight(shape=(*size, 1), initializer="zeros", trainable=False, name="direction")
        self.offset = self.add_weight(shape=(1,), initializer="zeros", trainable=False, name="offset")

    def call(self, statistics: Any) -> Any:
        """The logit."""
        ops = keras.ops
        standard = ops.clip((statistics - self.mean) * self.scale, -_FAR, _FAR)
        return ops.matmul(standard, self.direction) + self.offset

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, int]:
        """(B, 1)."""
        return input_shape[0], 1


def standardised(statistics: Float32Array, mean: Float32Array, scale: Float32Array) -> Float32Array:
    """Statistics (N, D) as `Discriminant` weighs them."""
    return np.asarray(np.clip((statistics - mean) * scale, -_FAR, _FAR), np.float32)


def _moments(maps: Any, where: Float32Array) -> tuple[Any, Any]:
    """Weighted mean, and log of the weighted standard deviation, (B, C) each."""
    ops = keras.ops
    mean = ops.sum(maps * where, axis=(1, 2), keepdims=True)
    variance = ops.sum(ops.square(maps - mean) * where, axis=(1, 2))
    deviation = ops.sqrt(ops.maximum(variance, _LEAST_DEVIATION**2 / 100))
    return ops.squeeze(mean, (1, 2)), ops.log(deviation + _LEAST_DEVIATION)
