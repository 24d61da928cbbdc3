"""What a kind of fake is: how it is made in pairs, for batches, and in the frames of a clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from dfd_core.types import Float32Array, UInt8Array
from trainer.data.face_pool import FacePool, Picture
from trainer.fakes.real_faces import RealFaces

Pair = list[UInt8Array]  # a real crop and a fake one, uint8 (S, S, 3) RGB of one side
Frame = tuple[UInt8Array, Float32Array]  # (H, W, 3) RGB, landmarks (468, 2) px


class Fake(Protocol):
    """A kind that batches show."""

    name: str  # of its share in a recipe
    made: bool  # on the way, of a real face; else it lies in a data set
    least_side_px: int  # of its crops, where the recipe has such

    def there(self, pool: FacePool) -> bool:
        """Whether the pool has faces for it."""
        ...

    def pair(self, faces: RealFaces, side: int, rng: np.random.Generator, index: int | None) -> Pair:
        """A real crop and its fake, `side` px: of real face `index`, or fake `index` of a data set; None: of any."""
        ...


class FilmedFake(Protocol):
    """A kind that clips show."""

    name: str
    over_time: bool  # hardly more than a weak blend in a single frame
    needs_other: bool  # somebody else's face

    def film(
        self, frames: Sequence[Frame], other: Picture | None, rng: np.random.Generator, least_ratio: float
    ) -> Iterator[Frame]:
        """The frames, each with one and the same manipulation; a self-blending is at least `least_ratio` strong."""
        ...


class OfRealFaces:
    """What kinds have in common that are made on the way, of any real face, and leave traces in single frames."""

    made = True
    least_side_px = 0
    over_time = False
    needs_other = False

    def there(self, pool: FacePool) -> bool:
        """Wherever there is a real face."""
        return bool(len(pool.reals))
