"""`FuseModalities`: derived channels as a Keras layer, on any backend and in exported networks."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from dfd_core.models.modalities import KV, check_modalities
from dfd_core.types import Float32Array


@keras.saving.register_keras_serializable("dfd")
class FuseModalities(keras.layers.Layer):  # type: ignore[misc]
    """Float32 (B, H, W, 3) or (B, T, H, W, 3) RGB to (..., 3 + num_modalities - 1): RGB, grey, noise residual.

    Equal to `dfd_core.models.modalities.fuse_modalities`; computed in float32 whatever the policy.
    """

    def __init__(self, num_modalities: int = 2, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.num_modalities = check_modalities(num_modalities)

    def call(self, images: Any) -> Any:
        """RGB with the derived channels behind it."""
        channels = [images]
        if self.num_modalities > 1:
            grey = keras.ops.mean(images, axis=-1, keepdims=True)
            channels.append(grey)
        if self.num_modalities > 2:
            channels.append(_residual(grey))
        return keras.ops.concatenate(channels, axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The same but for the last axis."""
        return (*input_shape[:-1], 3 + self.num_modalities - 1)

    def get_config(self) -> dict[str, Any]:
        """What rebuilds it."""
        return {**super().get_config(), "num_modalities": self.num_modalities}


def widened(kernel: Float32Array, extra: int) -> Float32Array:
    """A convolution's kernel (h, w, C, F) for `extra` more input channels, with the same response as before.

    The new weights are zero: what was learned before stands, and training moves them from there.
    """
    return np.concatenate([kernel, np.zeros((*kernel.shape[:2], extra, kernel.shape[3]), kernel.dtype)], axis=2)


def _residual(grey: Any) -> Any:
    ops = keras.ops
    shape = ops.shape(grey)
    height, width = grey.shape[-3], grey.shape[-2]
    flat = ops.reshape(grey, (-1, height, width, 1))
    wide = ops.pad(flat, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    filtered = ops.conv(wide, KV[:, :, None, None], padding="valid", data_format="channels_last")
    return ops.reshape(filtered, shape)
