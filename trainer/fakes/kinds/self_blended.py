"""Faces blended with altered copies of themselves (Shiohara and Yamasaki, CVPR 2022, arXiv:2204.08376)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from dfd_core.faces.blending import Alteration, blend_with, self_blend
from trainer.data.face_pool import Picture
from trainer.fakes.kinds.kind import Frame, OfRealFaces, Pair
from trainer.fakes.motion import draw_tremor
from trainer.fakes.real_faces import RealFaces


class SelfBlended(OfRealFaces):
    """Needs landmarks and nothing else."""

    name = "self_blended"

    def pair(self, faces: RealFaces, side: int, rng: np.random.Generator, index: int | None) -> Pair:
        """Of the parts of the face that the recipe names."""
        real, points = faces.crop_with_landmarks(side, rng, index)
        fake, mask = self_blend(real, points, rng, faces.parts)
        for _ in range(3):  # a mask that missed the crop, or a blend that changed nothing, is no fake
            if np.abs(fake.astype(np.int16) - real).mean() > 0.25 and mask.max() > 0.5:
                break
            fake, mask = self_blend(real, points, rng, faces.parts)
        return [real, fake]

    def film(
        self, frames: Sequence[Frame], other: Picture | None, rng: np.random.Generator, least_ratio: float
    ) -> Iterator[Frame]:
        """One alteration, which trembles."""
        tremor = draw_tremor(rng, least_ratio)
        for image, points in frames:
            shaken = tremor.shaken(points, rng)
            yield blend_with(image, shaken, _shaken(tremor.alteration, tremor.size, rng))[0], points


def _shaken(alteration: Alteration, size: float, rng: np.random.Generator) -> Alteration:
    red, green, blue = (shift + size * rng.normal(0, 1.2) for shift in alteration.channel_shift)
    return replace(
        alteration,
        channel_shift=(red, green, blue),
        value=alteration.value * (1 + size * rng.normal(0, 0.01)),
        sharpness=alteration.sharpness * (1 + size * rng.normal(0, 0.15)),
        ratio=float(np.clip(alteration.ratio * (1 + size * rng.normal(0, 0.04)), 0, 1)),
    )
