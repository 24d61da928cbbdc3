"""Faces moved onto each other, made coarser, and laid over pictures."""

from __future__ import annotations

import cv2
import numpy as np

from dfd_core.types import Float32Array, UInt8Array

FACE_SIDES = 64.0, 256.0  # px of a face, at which networks make it


def pasted(made: UInt8Array, image: UInt8Array, mask: Float32Array) -> UInt8Array:
    """`made` over `image`, both uint8 (H, W, 3), by `mask` (H, W) in [0, 1]."""
    weight = mask[..., None]
    return np.clip(np.rint(made * weight + image * (1 - weight)), 0, 255).astype(np.uint8)


def moved_onto(points: Float32Array, image: UInt8Array, its_points: Float32Array, shape: tuple[int, ...]) -> UInt8Array:
    """`image` (H, W, 3) under the affine map that brings its landmarks (468, 2) px nearest to `points`, as `shape`."""
    given = np.concatenate([its_points, np.ones((len(its_points), 1), np.float32)], axis=1)
    move, *_ = np.linalg.lstsq(given, points, rcond=None)
    size = shape[1], shape[0]
    moved = cv2.warpAffine(image, move.T, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.uint8)


def coarser(image: UInt8Array, factor: float) -> UInt8Array:
    """The picture uint8 (H, W, 3) as one that was made at `factor` times its size, below 1."""
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def made_at(side: float, image: UInt8Array, points: Float32Array) -> UInt8Array:
    """The picture as if its face had been made `side` px large, where it is larger."""
    factor = side / float(np.ptp(points, axis=0).max())
    return coarser(image, factor) if factor < 1 else image
