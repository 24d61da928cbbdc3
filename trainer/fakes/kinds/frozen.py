"""Frozen faces: one that keeps its texture and its expression for some frames, while the head moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dfd_core.faces.blending import draw_alteration, face_mask
from trainer.data.face_pool import Picture
from trainer.fakes.compositing import FACE_SIDES, made_at, moved_onto, pasted
from trainer.fakes.kinds.kind import Frame

_HELD = (2, 3, 5)  # frames for which a face is frozen, or to the end


class Frozen:
    """A fake over time alone: a single frame hardly shows it, so that there are no pairs."""

    name = "frozen"
    over_time = True
    needs_other = False

    def film(
        self, frames: Sequence[Frame], other: Picture | None, rng: np.random.Generator, least_ratio: float
    ) -> Iterator[Frame]:
        """As a face that is rendered less often than the footage has frames, or once for all of them."""
        alteration, side = draw_alteration(rng, ("face", "inner", "lower")), rng.uniform(*FACE_SIDES)
        held = int(rng.choice((*_HELD, len(frames))))
        for number, (image, points) in enumerate(frames):
            rendered, its_points = frames[number // held * held]
            made = moved_onto(points, made_at(side, rendered, its_points), its_points, image.shape)
            yield pasted(made, image, face_mask(image.shape, points, alteration)), points
