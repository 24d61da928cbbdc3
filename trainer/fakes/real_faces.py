"""The real faces of a pool as samples show them: how they are drawn, cut and lit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dfd_core.errors import DataError
from dfd_core.faces.blending import PARTS
from dfd_core.types import Float32Array, Float64Array, UInt8Array
from trainer.data.face_pool import FacePool, Picture
from trainer.fakes.crops import cut, light, mirrored

_TRIES = 20  # faces that are drawn until one has landmarks


@dataclass(frozen=True)
class RealFaces:
    """What fakes are made of: a pool, and what a recipe says of its faces (see `Sampling`)."""

    pool: FacePool
    capped: str = ""
    parts: tuple[str, ...] = PARTS

    @cached_property
    def chances(self) -> Float64Array:
        """Of each real face to be drawn, float64 (R,): even, but that the capped sources make up at most half of all.

        Where none is capped, pages count by the root of their files.
        """
        if not self.capped:
            return self.pool.chances
        capped = np.char.startswith(self.pool.sources[self.pool.reals], self.capped)
        chances = np.ones(len(capped))
        if 0 < capped.sum() < len(capped) and capped.mean() > 0.5:
            chances[capped] = (~capped).sum() / capped.sum()
        return np.asarray(chances / chances.sum(), np.float64)

    def draw(self, rng: np.random.Generator) -> int:
        """The index of a real face."""
        return int(rng.choice(self.pool.reals, p=self.chances))

    def with_landmarks(self, rng: np.random.Generator, index: int | None) -> tuple[int, Picture]:
        """Real face `index`, or a random one where it is not given or has no landmarks; DataError where none has."""
        for _ in range(_TRIES):
            index = self.draw(rng) if index is None else index
            picture = self.pool.read(index, rng.random())
            if np.isfinite(picture.landmarks).all():
                return index, picture
            index = None
        raise DataError("The data has hardly a face with landmarks: faces must be larger to be blended.")

    def crop(self, side: int, rng: np.random.Generator, index: int) -> UInt8Array:
        """Real face `index` in some light, uint8 (side, side, 3) RGB."""
        picture = self.pool.read(index, rng.random())
        real, _ = cut(mirrored(picture, rng.random() < 0.5), side, rng)
        return light(real, rng)

    def crop_with_landmarks(
        self, side: int, rng: np.random.Generator, index: int | None
    ) -> tuple[UInt8Array, Float32Array]:
        """Likewise, with the landmarks float32 (468, 2) px in it; see `with_landmarks`."""
        _, picture = self.with_landmarks(rng, index)
        real, points = cut(mirrored(picture, rng.random() < 0.5), side, rng)
        return light(real, rng), points
