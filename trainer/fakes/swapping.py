"""Swapped faces: another person's face moved onto the landmarks of this one, in its colours, and blended in.

What the classical swap of FaceForensics++ does (Roessler et al., ICCV 2019, arXiv:1901.08971), and a face X-ray's
training pairs are made of (Li et al., CVPR 2020, arXiv:1912.13458): the blending's traces, and an inner face whose
features, light and resolution come from elsewhere. Colours are moved as by Reinhard et al. (IEEE CG&A 2001), in Lab.
"""

from __future__ import annotations

import cv2
import numpy as np

from dfd_core.faces.blending import draw_alteration, face_mask
from dfd_core.types import Float32Array, UInt8Array

_LEAST_SPREAD = 4.0  # grey levels, against division by nothing
_MOST_GAIN = 1.6  # of the contrast that a colour transfer may add


def swap(
    target: UInt8Array, points: Float32Array, source: UInt8Array, its_points: Float32Array, rng: np.random.Generator
) -> tuple[UInt8Array, Float32Array]:
    """The face of `source` on `target`, each uint8 (H, W, 3) RGB with landmarks float32 (468, 2) px.

    Returns the fake, uint8 like `target`, and the mask, float32 (H, W) in [0, 1], of what was inserted.
    """
    alteration = draw_alteration(rng)
    mask = face_mask(target.shape, points, alteration)
    moved = moved_onto(points, _as_generated(source, rng), its_points, target.shape)
    moved = _in_colours_of(moved, target, mask > 0.5)
    weight = (mask * rng.choice((0.75, 1.0, 1.0)))[..., None]
    blended = moved.astype(np.float32) * weight + target.astype(np.float32) * (1 - weight)
    return np.clip(np.rint(blended), 0, 255).astype(np.uint8), mask


def moved_onto(points: Float32Array, image: UInt8Array, its_points: Float32Array, shape: tuple[int, ...]) -> UInt8Array:
    """`image` (H, W, 3) under the affine map that brings its landmarks (468, 2) px nearest to `points`, as `shape`."""
    given = np.concatenate([its_points, np.ones((len(its_points), 1), np.float32)], axis=1)
    move, *_ = np.linalg.lstsq(given, points, rcond=None)
    size = shape[1], shape[0]
    moved = cv2.warpAffine(image, move.T, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(moved, np.uint8)


def _as_generated(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """At the resolution at which swapping networks work, which is often less than the footage's."""
    side = max(image.shape[:2])
    least = min(1.0, 72 / side)
    factor = float(rng.uniform(least, 1.0)) if rng.random() < 0.6 else 1.0
    if factor > 0.95:
        return image
    return coarser(image, factor)


def coarser(image: UInt8Array, factor: float) -> UInt8Array:
    """The picture uint8 (H, W, 3) as one that was made at `factor` times its size, below 1."""
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def _in_colours_of(image: UInt8Array, other: UInt8Array, inside: np.ndarray) -> UInt8Array:
    """`image` with the mean and the spread of each Lab channel of `other` where `inside`."""
    if not inside.any():
        return image
    lab, wanted = (cv2.cvtColor(i, cv2.COLOR_RGB2LAB).astype(np.float32) for i in (image, other))
    mean, aim = lab[inside].mean(axis=0), wanted[inside].mean(axis=0)
    gain = (wanted[inside].std(axis=0) + _LEAST_SPREAD) / (lab[inside].std(axis=0) + _LEAST_SPREAD)
    moved = np.clip((lab - mean) * np.clip(gain, 1 / _MOST_GAIN, _MOST_GAIN) + aim, 0, 255)
    return np.asarray(cv2.cvtColor(np.rint(moved).astype(np.uint8), cv2.COLOR_LAB2RGB), np.uint8)
