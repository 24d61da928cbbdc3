"""Swapped faces: another person's face moved onto the landmarks of this one, in its colours, and blended in.

What the classical swap of FaceForensics++ does (Roessler et al., ICCV 2019, arXiv:1901.08971), and a face X-ray's
training pairs are made of (Li et al., CVPR 2020, arXiv:1912.13458): the blending's traces, and an inner face whose
features, light and resolution come from elsewhere. Colours are moved as by Reinhard et al. (IEEE CG&A 2001), in Lab.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from dfd_core.faces.blending import draw_alteration, face_mask
from dfd_core.types import Float32Array, UInt8Array
from trainer.data.face_pool import Picture
from trainer.fakes.compositing import coarser, moved_onto
from trainer.fakes.crops import cut, light, mirrored
from trainer.fakes.kinds.kind import Frame, OfRealFaces, Pair
from trainer.fakes.motion import draw_tremor
from trainer.fakes.real_faces import RealFaces

_LEAST_SPREAD = 4.0  # grey levels, against division by nothing
_MOST_GAIN = 1.6  # of the contrast that a colour transfer may add


class Swapped(OfRealFaces):
    """Takes the face of somebody who looks the same way."""

    name = "swapped"
    needs_other = True

    def pair(self, faces: RealFaces, side: int, rng: np.random.Generator, index: int | None) -> Pair:
        """Both in one light, which falls on them when all is blended."""
        index, picture = faces.with_landmarks(rng, index)
        turned = rng.random() < 0.5
        real, points = cut(mirrored(picture, turned), side, rng)
        other = mirrored(faces.pool.read(faces.pool.alike(index, rng), rng.random()), turned)
        seed = int(rng.integers(1 << 32))
        fake, _ = swap(real, points, other.image, other.landmarks, rng)
        return [light(image, np.random.default_rng(seed)) for image in (real, fake)]

    def film(
        self, frames: Sequence[Frame], other: Picture | None, rng: np.random.Generator, least_ratio: float
    ) -> Iterator[Frame]:
        """One swap, which trembles."""
        assert other is not None
        tremor = draw_tremor(rng, least_ratio)
        for image, points in frames:
            shaken, again = tremor.shaken(points, rng), np.random.default_rng(tremor.seed)
            yield swap(image, shaken, other.image, other.landmarks, again)[0], points


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


def _as_generated(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """At the resolution at which swapping networks work, which is often less than the footage's."""
    side = max(image.shape[:2])
    least = min(1.0, 72 / side)
    factor = float(rng.uniform(least, 1.0)) if rng.random() < 0.6 else 1.0
    if factor > 0.95:
        return image
    return coarser(image, factor)


def _in_colours_of(image: UInt8Array, other: UInt8Array, inside: np.ndarray) -> UInt8Array:
    """`image` with the mean and the spread of each Lab channel of `other` where `inside`."""
    if not inside.any():
        return image
    lab, wanted = (cv2.cvtColor(i, cv2.COLOR_RGB2LAB).astype(np.float32) for i in (image, other))
    mean, aim = lab[inside].mean(axis=0), wanted[inside].mean(axis=0)
    gain = (wanted[inside].std(axis=0) + _LEAST_SPREAD) / (lab[inside].std(axis=0) + _LEAST_SPREAD)
    moved = np.clip((lab - mean) * np.clip(gain, 1 / _MOST_GAIN, _MOST_GAIN) + aim, 0, 255)
    return np.asarray(cv2.cvtColor(np.rint(moved).astype(np.uint8), cv2.COLOR_LAB2RGB), np.uint8)
