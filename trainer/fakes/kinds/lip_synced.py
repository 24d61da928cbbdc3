"""Lip-synced faces: the lower face made anew, coarser, with a mouth that moves by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from dfd_core.faces.blending import Alteration, draw_alteration, face_mask
from dfd_core.types import Float32Array, UInt8Array
from trainer.data.face_pool import Picture
from trainer.fakes.compositing import FACE_SIDES, made_at, pasted
from trainer.fakes.kinds.kind import Frame, OfRealFaces, Pair
from trainer.fakes.motion import smooth_paths
from trainer.fakes.real_faces import RealFaces

LIP_SYNCED_PARTS = ("lower", "lower", "mouth")
MOUTH = 0.05  # how far it opens by itself, in shares of the face's size
_INNER_LIPS = [13, 14]
_MADE_AT = 0.35, 0.85  # of the face's size in a pair, so that its lower part is coarser


class LipSynced(OfRealFaces):
    """A fake over time: in a single frame it is hardly more than a weak blend."""

    name = "lip_synced"
    over_time = True

    def pair(self, faces: RealFaces, side: int, rng: np.random.Generator, index: int | None) -> Pair:
        """With another mouth."""
        real, points = faces.crop_with_landmarks(side, rng, index)
        size = rng.uniform(*_MADE_AT) * float(np.ptp(points, axis=0).max())
        return [real, lip_sync(real, points, draw_alteration(rng, LIP_SYNCED_PARTS), size, rng.normal(0, MOUTH))]

    def film(
        self, frames: Sequence[Frame], other: Picture | None, rng: np.random.Generator, least_ratio: float
    ) -> Iterator[Frame]:
        """With a mouth that talks."""
        alteration, side = draw_alteration(rng, LIP_SYNCED_PARTS), rng.uniform(*FACE_SIDES)
        openings = smooth_paths(rng, len(frames), (MOUTH,), (1.5, 5.0))[:, 0]
        for (image, points), opening in zip(frames, openings, strict=True):
            yield lip_sync(image, points, alteration, side, float(opening)), points


def lip_sync(
    image: UInt8Array, points: Float32Array, alteration: Alteration, side: float, opening: float
) -> UInt8Array:
    """The face with its lower part made anew, as networks do to a sound (compare Prajwal et al., ACM MM 2020: Wav2Lip).

    Uint8 (H, W, 3) RGB with landmarks float32 (468, 2) px; the face is made `side` px large, where it is larger, and
    its chin comes `opening` face sizes lower.
    """
    made = made_at(side, _opened(image, points, opening), points)
    return pasted(made, image, face_mask(image.shape, points, alteration))


def _opened(image: UInt8Array, points: Float32Array, opening: float) -> UInt8Array:
    """The chin `opening` face sizes lower, or higher where negative, and all above the mouth as it was."""
    size = float(np.ptp(points, axis=0).max())
    mouth = points[_INNER_LIPS].mean(axis=0)
    height, width = image.shape[:2]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    down = np.clip((rows - mouth[1]) / (0.15 * size), 0, 1) * np.exp(-(((columns - mouth[0]) / (0.3 * size)) ** 2))
    moved = (rows - opening * size * down).astype(np.float32)
    return np.asarray(cv2.remap(image, columns, moved, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.uint8)
