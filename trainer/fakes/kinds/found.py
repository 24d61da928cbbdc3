"""Fakes that lie in data sets: real-world ones, and those that a generator or a restoration network of dfd made."""

from __future__ import annotations

import numpy as np

from dfd_core.faces.blending import draw_alteration, face_mask
from trainer.data.face_pool import GENERATED, RESTORED, FacePool
from trainer.fakes.compositing import pasted
from trainer.fakes.crops import cut, light, mirrored, native_side
from trainer.fakes.kinds.kind import Pair
from trainer.fakes.real_faces import RealFaces

_LEAST_SIDE = 64  # px, of a crop
_PASTED = 0.5  # share of restored faces of which only the face is taken, as after a swap


class Found:
    """Fakes of one kind in data sets, each set against a real face of the same file, page or people."""

    made = False

    def __init__(self, name: str, least_side_px: int = 0) -> None:
        self.name, self.least_side_px = name, least_side_px

    def there(self, pool: FacePool) -> bool:
        """Where a data set has one."""
        return bool(len(pool.fakes[self.name]))

    def pair(self, faces: RealFaces, side: int, rng: np.random.Generator, index: int | None) -> Pair:
        """Cut and lit alike; of some restored faces only the face is taken.

        Both are `side` px, or as large as the smaller of the two is: enlarging one of them would tell it.
        """
        pool = faces.pool
        fake = pool.draw_fake(self.name, rng) if index is None else index
        moment, seed, mirror = rng.random(), int(rng.integers(1 << 32)), rng.random() < 0.5
        partner = pool.partner(fake, rng)
        pictures = [pool.read(n, moment) for n in (partner, fake)]
        side = min(side, *(max(_LEAST_SIDE, round(native_side(picture))) for picture in pictures))
        pair = []
        for picture in pictures:
            alike = np.random.default_rng(seed)
            crop, points = cut(mirrored(picture, mirror), side, alike)
            pair.append(light(crop, alike))
        made_of_it = self.name == RESTORED and pool.is_made_of(fake, partner) and np.isfinite(points).all()
        if made_of_it and rng.random() < _PASTED:
            pair[1] = pasted(pair[1], pair[0], face_mask(pair[0].shape, points, draw_alteration(rng)))
        return pair


ALL = (
    Found(RESTORED, least_side_px=128),  # in smaller crops a restored face looks like any other
    Found(GENERATED),
    Found("real"),  # all others
)
