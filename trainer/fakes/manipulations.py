"""What is done to the face in the frames of a clip: the kinds of fakes that can be made of any real footage.

Faces blended with themselves or swapped (one alteration a clip, which trembles a little from frame to frame, as methods
that see single frames leave it), lip-synced ones (the lower face made anew, with a mouth that moves by itself), and
frozen ones (a face that keeps its texture and its expression while the head moves). The last two are fakes over time:
in a single frame they are hardly more than a weak blend.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np

from dfd_core.faces.blending import Alteration, blend_with, draw_alteration, face_mask
from dfd_core.types import Float32Array, UInt8Array
from trainer.data.face_pool import Picture
from trainer.fakes.motion import smooth_paths
from trainer.fakes.swapping import coarser, moved_onto, swap

SELF_BLENDED, SWAPPED, LIP_SYNCED, FROZEN = "self_blended", "swapped", "lip_synced", "frozen"
LIP_SYNCED_PARTS = ("lower", "lower", "mouth")
OVER_TIME = (FROZEN, LIP_SYNCED)
MANIPULATIONS = (SELF_BLENDED, SWAPPED, *OVER_TIME)
_INNER_LIPS = [13, 14]
MOUTH = 0.05  # how far it opens by itself, in shares of the face's size
_HELD = (2, 3, 5)  # frames for which a face is frozen, or to the end
_SIDES = 64.0, 256.0  # px of a face, at which networks make it

Frame = tuple[UInt8Array, Float32Array]  # (H, W, 3) RGB, landmarks (468, 2) px


def manipulated(
    kind: str, frames: Sequence[Frame], other: Picture | None, rng: np.random.Generator, least_ratio: float = 0.0
) -> Iterator[Frame]:
    """Frames uint8 (H, W, 3) RGB with landmarks float32 (468, 2) px, each with one and the same manipulation of `kind`.

    `other` gives the face for a swap; `least_ratio` is the least strength of a self-blending.
    """
    if kind == LIP_SYNCED:
        return _lip_synced(frames, rng)
    if kind == FROZEN:
        return _frozen(frames, rng)
    return _blended(frames, other if kind == SWAPPED else None, rng, least_ratio)


def lip_sync(
    image: UInt8Array, points: Float32Array, alteration: Alteration, side: float, opening: float
) -> UInt8Array:
    """The face with its lower part made anew, as networks do to a sound (compare Prajwal et al., ACM MM 2020: Wav2Lip).

    Uint8 (H, W, 3) RGB with landmarks float32 (468, 2) px; the face is made `side` px large, where it is larger, and
    its chin comes `opening` face sizes lower.
    """
    made = _made_at(side, _opened(image, points, opening), points)
    return pasted(made, image, face_mask(image.shape, points, alteration))


def pasted(made: UInt8Array, image: UInt8Array, mask: Float32Array) -> UInt8Array:
    """`made` over `image`, both uint8 (H, W, 3), by `mask` (H, W) in [0, 1]."""
    weight = mask[..., None]
    return np.clip(np.rint(made * weight + image * (1 - weight)), 0, 255).astype(np.uint8)


def _blended(
    frames: Sequence[Frame], other: Picture | None, rng: np.random.Generator, least_ratio: float
) -> Iterator[Frame]:
    alteration = draw_alteration(rng)
    while alteration.ratio < least_ratio:
        alteration = draw_alteration(rng)
    seed = int(rng.integers(1 << 32))
    tremor = float(rng.choice([0.0, 0.3, 1.0]) * rng.uniform(0.5, 1.5))
    for image, points in frames:
        shaken = points + np.float32(rng.normal(0, 0.004 * tremor * np.ptp(points), 2))
        if other is None:
            yield blend_with(image, shaken, _shaken(alteration, tremor, rng))[0], points
        else:
            yield swap(image, shaken, other.image, other.landmarks, np.random.default_rng(seed))[0], points


def _shaken(alteration: Alteration, tremor: float, rng: np.random.Generator) -> Alteration:
    red, green, blue = (shift + tremor * rng.normal(0, 1.2) for shift in alteration.channel_shift)
    return replace(
        alteration,
        channel_shift=(red, green, blue),
        value=alteration.value * (1 + tremor * rng.normal(0, 0.01)),
        sharpness=alteration.sharpness * (1 + tremor * rng.normal(0, 0.15)),
        ratio=float(np.clip(alteration.ratio * (1 + tremor * rng.normal(0, 0.04)), 0, 1)),
    )


def _lip_synced(frames: Sequence[Frame], rng: np.random.Generator) -> Iterator[Frame]:
    alteration, side = draw_alteration(rng, LIP_SYNCED_PARTS), rng.uniform(*_SIDES)
    openings = smooth_paths(rng, len(frames), (MOUTH,), (1.5, 5.0))[:, 0]
    for (image, points), opening in zip(frames, openings, strict=True):
        yield lip_sync(image, points, alteration, side, float(opening)), points


def _frozen(frames: Sequence[Frame], rng: np.random.Generator) -> Iterator[Frame]:
    """As a face that is rendered less often than the footage has frames, or once for all of them."""
    alteration, side = draw_alteration(rng, ("face", "inner", "lower")), rng.uniform(*_SIDES)
    held = int(rng.choice((*_HELD, len(frames))))
    for number, (image, points) in enumerate(frames):
        rendered, its_points = frames[number // held * held]
        made = moved_onto(points, _made_at(side, rendered, its_points), its_points, image.shape)
        yield pasted(made, image, face_mask(image.shape, points, alteration)), points


def _opened(image: UInt8Array, points: Float32Array, opening: float) -> UInt8Array:
    """The chin `opening` face sizes lower, or higher where negative, and all above the mouth as it was."""
    size = float(np.ptp(points, axis=0).max())
    mouth = points[_INNER_LIPS].mean(axis=0)
    height, width = image.shape[:2]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    down = np.clip((rows - mouth[1]) / (0.15 * size), 0, 1) * np.exp(-(((columns - mouth[0]) / (0.3 * size)) ** 2))
    moved = (rows - opening * size * down).astype(np.float32)
    return np.asarray(cv2.remap(image, columns, moved, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), np.uint8)


def _made_at(side: float, image: UInt8Array, points: Float32Array) -> UInt8Array:
    """The picture as if its face had been made `side` px large, where it is larger."""
    factor = side / float(np.ptp(points, axis=0).max())
    return coarser(image, factor) if factor < 1 else image
