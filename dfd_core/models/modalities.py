"""Channels that a network sees beside RGB, derived from it: grey and the noise residual; NumPy's half.

They are computed in the model (`dfd_core.models.fuse`), so that Redis and data sets carry RGB only; this twin is for
tests, plots and runtimes that cannot. Residual: the 5x5 "KV" high-pass kernel of Fridrich and Kodovsky ("Rich Models
for Steganalysis of Digital Images", IEEE TIFS 2012) over the grey picture, whose edges are mirrored.
"""

from __future__ import annotations

import numpy as np

from dfd_core.types import Float32Array

RGB, GREY, RESIDUAL = "rgb", "grey", "residual"
MODALITIES = (RGB, GREY, RESIDUAL)  # `num_modalities` takes as many of them, from the first on
KV = np.array(
    [[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]], np.float32
) / np.float32(12)


def check_modalities(count: int) -> int:
    """`count`, 1 to 3; ValueError otherwise."""
    if not 1 <= count <= len(MODALITIES):
        raise ValueError(f"num_modalities must be 1 to {len(MODALITIES)} ({', '.join(MODALITIES)}), not {count}.")
    return count


def fuse_modalities(images: Float32Array, num_modalities: int) -> Float32Array:
    """`images` float32 (..., H, W, 3) RGB, and behind it `num_modalities` - 1 channels in the same units."""
    channels = [images]
    if check_modalities(num_modalities) > 1:
        grey = images.mean(axis=-1, keepdims=True, dtype=np.float32)
        channels.append(grey)
    if num_modalities > 2:
        channels.append(_residual(grey))
    return np.concatenate(channels, axis=-1)


def _residual(grey: Float32Array) -> Float32Array:
    """High-pass residual of float32 (..., H, W, 1)."""
    height, width = grey.shape[-3:-1]
    around = [(0, 0)] * (grey.ndim - 3) + [(2, 2), (2, 2), (0, 0)]
    wide = np.pad(grey, around, mode="reflect")
    shifted = [KV[y, x] * wide[..., y : y + height, x : x + width, :] for y in range(len(KV)) for x in range(len(KV))]
    return np.asarray(np.sum(shifted, axis=0), np.float32)
