"""A convolutional autoencoder, trained against a discriminator, that re-synthesises faces.

Its pictures are fakes of a kind that no blending shows: every pixel comes out of a decoder. What decoders leave behind
differs by how they enlarge: transposed convolutions a checkerboard (Odena et al., Distill 2016), nearest neighbours and
sub-pixel convolution (Shi et al., CVPR 2016, arXiv:1609.05158) copies of the spectrum. The discriminator judges patches
(Isola et al., CVPR 2017, arXiv:1611.07004).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from dfd_core.errors import DataError

DECODERS = ("transposed", "nearest", "shuffle")
_WIDTHS = (32, 64, 128, 192)  # of the encoder's levels, each half as large as the one before
_BOTTLENECK = 48  # channels at a sixteenth of the size
_SLOPE = 0.2


def build_autoencoder(size: int = 128, decoder: str = "nearest") -> keras.Model:
    """Faces float32 (B, size, size, 3) in -1..1 to themselves, through a sixteenth of the size.

    DataError for another decoder than those of DECODERS, and for a size that is no multiple of 16.
    """
    if decoder not in DECODERS:
        raise DataError(f"Unknown decoder '{decoder}'; known are {', '.join(DECODERS)}.")
    if size < 64 or size % 16:
        raise DataError(f"The size of re-synthesised faces must be a multiple of 16, at least 64, not {size}.")
    face = keras.Input((size, size, 3), name="face")
    x = face
    for width in _WIDTHS:
        x = _activated(layers.Conv2D(width, 4, 2, "same")(x))
    x = layers.Conv2D(_BOTTLENECK, 1, name="code")(x)
    for width in reversed(_WIDTHS):
        x = _activated(_enlarged(x, width, decoder))
        x = _activated(layers.Conv2D(width, 3, padding="same")(x))
    picture = layers.Conv2D(3, 3, padding="same", activation="tanh", dtype="float32", name="picture")(x)
    return keras.Model(face, picture, name=f"autoencoder_{decoder}")


def build_patch_discriminator(size: int = 128) -> keras.Model:
    """Faces float32 (B, size, size, 3) in -1..1 to the probability float32 (B, 1) of being real; patches vote."""
    face = keras.Input((size, size, 3), name="face")
    x = face
    for width in (32, 64, 128):
        x = layers.LeakyReLU(_SLOPE)(layers.Conv2D(width, 4, 2, "same")(x))
    x = layers.Conv2D(1, 3, padding="same", name="patches")(x)
    x = layers.GlobalAveragePooling2D(name="mean", dtype="float32")(x)
    return keras.Model(face, layers.Activation("sigmoid", name="real", dtype="float32")(x), name="patch_discriminator")


def _enlarged(x: Any, width: int, decoder: str) -> Any:
    """Twice the size, `width` channels."""
    if decoder == "transposed":
        return layers.Conv2DTranspose(width, 4, 2, "same")(x)
    if decoder == "nearest":
        return layers.Conv2D(width, 3, padding="same")(layers.UpSampling2D(2, interpolation="nearest")(x))
    return PixelShuffle(2)(layers.Conv2D(4 * width, 3, padding="same")(x))


def _activated(x: Any) -> Any:
    return layers.LeakyReLU(_SLOPE)(layers.GroupNormalization(8)(x))


@keras.saving.register_keras_serializable("dfd")
class PixelShuffle(layers.Layer):
    """(B, H, W, C k²) to (B, H k, W k, C): channels become pixels, as in sub-pixel convolution."""

    def __init__(self, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x: Any) -> Any:
        """The enlarged picture."""
        ops, k = keras.ops, self.factor
        height, width, channels = x.shape[1], x.shape[2], x.shape[3] // k**2
        x = ops.reshape(x, (-1, height, width, k, k, channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, height * k, width * k, channels))

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Twice as large for a factor of 2, with a fourth of the channels."""
        k = self.factor
        grown = tuple(None if side is None else side * k for side in shape[1:3])
        return (shape[0], *grown, (shape[3] or 0) // k**2)

    def get_config(self) -> dict[str, Any]:
        """What rebuilds it."""
        return {**super().get_config(), "factor": self.factor}
