"""Self-blended images: a fake made of one real face (Shiohara and Yamasaki, CVPR 2022, arXiv:2204.08376).

A face is blended into a slightly altered copy of itself. That leaves what a face swap leaves (a boundary, two colours,
two sharpnesses) and nothing that only one swapping method would leave. Our own implementation from the paper, with
masks from the 468-point mesh.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from dfd_core.types import Float32Array, UInt8Array

_LIPS = (0, 17, 37, 39, 40, 61, 84, 91, 146, 181, 185, 267, 269, 270, 291, 314, 321, 375, 405, 409)
_EYES = (33, 133, 145, 159, 263, 362, 374, 386, 70, 63, 105, 66, 107, 300, 293, 334, 296, 336)  # and the brows
PARTS = (
    "face",
    "face",
    "face",
    "inner",
    "inner",
    "inner",
    "lower",
    "lower",
    "mouth",
    "eyes",
)  # named as often as drawn
_LOWER_FROM = 0.12  # of the way from the eyes to the chin, where the lower part of the face begins
_BLEND_RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)  # the paper's choice of blending strengths


@dataclass(frozen=True, slots=True)
class Alteration:
    """How the two copies of a face differ; drawn once a sample, so that a clip can keep it and jitter it."""

    altered_is_source: bool  # the altered copy is the inserted face, else what it is inserted into
    hue: int  # added to OpenCV's hue, 0 to 179
    saturation: float  # factor
    value: float  # factor
    contrast: float  # factor around the mean
    channel_shift: tuple[float, float, float]  # added to R, G, B
    sharpness: float  # above 0: unsharp mask; below 0: scaled down by 1 - it, and up again
    shift: tuple[float, float]  # of the inserted face, in shares of the face's size
    scale: float  # of the inserted face
    part: str  # face, inner, lower, mouth or eyes: which region is inserted
    grow: float  # of the mask, in shares of the face's size; negative shrinks
    warp_seed: int  # of the mask's elastic deformation
    softness: float  # of the mask's edge, in shares of the face's size
    ratio: float  # strength of the blend


def draw_alteration(rng: np.random.Generator, parts: Sequence[str] = PARTS) -> Alteration:
    """Random parameters in the paper's ranges, of one of `parts`; those beyond the whole face are ours."""
    sharp = rng.random()
    return Alteration(
        altered_is_source=bool(rng.random() < 0.5),
        hue=int(rng.integers(-8, 9)),
        saturation=float(rng.uniform(0.75, 1.25)),
        value=float(rng.uniform(0.85, 1.15)),
        contrast=float(rng.uniform(0.9, 1.1)),
        channel_shift=(float(rng.uniform(-16, 16)), float(rng.uniform(-16, 16)), float(rng.uniform(-16, 16))),
        sharpness=float(rng.uniform(0.3, 1.2) if sharp < 0.4 else -rng.uniform(0.3, 2.0) if sharp < 0.85 else 0.0),
        shift=(float(rng.uniform(-0.03, 0.03)), float(rng.uniform(-0.015, 0.015))),
        scale=float(rng.uniform(0.96, 1.04)),
        part=str(rng.choice(parts)),
        grow=float(rng.uniform(-0.06, 0.06)),
        warp_seed=int(rng.integers(1 << 31)),
        softness=float(rng.uniform(0.02, 0.12)),
        ratio=float(rng.choice(_BLEND_RATIOS)),
    )


def self_blend(
    image: UInt8Array, landmarks: Float32Array, rng: np.random.Generator, parts: Sequence[str] = PARTS
) -> tuple[UInt8Array, Float32Array]:
    """A fake of `image` uint8 (H, W, 3) RGB whose face has `landmarks` float32 (468, 2) px.

    Returns the fake, uint8 (H, W, 3), and the mask, float32 (H, W) in [0, 1], of what was inserted.
    """
    return blend_with(image, landmarks, draw_alteration(rng, parts))


def blend_with(image: UInt8Array, landmarks: Float32Array, alteration: Alteration) -> tuple[UInt8Array, Float32Array]:
    """`self_blend` with given parameters."""
    size = float(np.ptp(landmarks, axis=0).max())
    mask = face_mask(image.shape[:2], landmarks, alteration)
    altered = _alter(image, alteration)
    inserted, background = (altered, image) if alteration.altered_is_source else (image, altered)
    inserted, mask = _move((inserted, mask), landmarks, size, alteration)
    weight = (mask * alteration.ratio)[..., None]
    blended = inserted.astype(np.float32) * weight + background.astype(np.float32) * (1 - weight)
    return np.clip(np.rint(blended), 0, 255).astype(np.uint8), mask


def face_mask(shape: tuple[int, ...], landmarks: Float32Array, alteration: Alteration) -> Float32Array:
    """Soft mask float32 (H, W) of the altered region: a hull of landmarks, grown, deformed and blurred."""
    size = float(np.ptp(landmarks, axis=0).max())
    mask = np.zeros(shape[:2], np.float32)
    hull = cv2.convexHull(_region(landmarks, alteration.part).astype(np.float32))
    cv2.fillConvexPoly(mask, np.rint(hull).astype(np.int32), 1.0)
    reach = max(1, round(abs(alteration.grow) * size))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    mask = cv2.dilate(mask, kernel) if alteration.grow > 0 else cv2.erode(mask, kernel)
    mask = _deform(mask, size, alteration.warp_seed)
    sigma = max(0.8, alteration.softness * size / 2)
    soft = cv2.GaussianBlur(mask, (0, 0), sigma)
    inside = np.clip(soft * 2 - 1, 0, 1) if alteration.warp_seed % 2 else soft
    return np.asarray(inside / max(float(inside.max()), 1e-6), np.float32)


def _region(landmarks: Float32Array, part: str) -> Float32Array:
    if part == "face":
        return landmarks
    if part == "inner":
        return _scaled(landmarks, 0.78)
    if part in ("mouth", "eyes"):
        return _scaled(landmarks[list(_LIPS)], 1.7) if part == "mouth" else _scaled(landmarks[list(_EYES)], 1.25)
    eyes = landmarks[[33, 263]].mean(axis=0)
    down = landmarks[152] - eyes
    height = (landmarks - eyes) @ down / float(down @ down)
    return np.asarray(landmarks[height > _LOWER_FROM], np.float32)


def _scaled(points: Float32Array, factor: float) -> Float32Array:
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    return np.asarray(centre + (points - centre) * factor, np.float32)


def _deform(mask: Float32Array, size: float, seed: int) -> Float32Array:
    """Elastic deformation: a coarse random field of displacements of up to 4 % of the face, smoothly interpolated."""
    height, width = mask.shape
    coarse = np.random.default_rng(seed).uniform(-0.04, 0.04, (5, 5, 2)).astype(np.float32) * np.float32(size)
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.asarray(cv2.remap(mask, xs + field[..., 0], ys + field[..., 1], cv2.INTER_LINEAR), np.float32)


def _alter(image: UInt8Array, alteration: Alteration) -> UInt8Array:
    """Colour first, then sharpness, as in the paper's source-target transforms."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    steps = np.arange(256, dtype=np.float32)
    hsv = cv2.merge(
        [
            ((hsv[..., 0].astype(np.int16) + alteration.hue) % 180).astype(np.uint8),
            cv2.LUT(hsv[..., 1], np.clip(steps * alteration.saturation, 0, 255).astype(np.uint8)),
            cv2.LUT(hsv[..., 2], np.clip(steps * alteration.value, 0, 255).astype(np.uint8)),
        ]
    )
    rgb = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    mean = float(rgb.mean())
    curves = [np.clip((steps - mean) * alteration.contrast + mean + s, 0, 255) for s in alteration.channel_shift]
    rgb = cv2.LUT(rgb, np.stack(curves, axis=-1)[None].astype(np.uint8))
    if alteration.sharpness > 0:
        blurred = cv2.GaussianBlur(rgb, (0, 0), 1.5)
        rgb = cv2.addWeighted(rgb, 1 + alteration.sharpness, blurred, -alteration.sharpness, 0)
    elif alteration.sharpness < 0:
        height, width = rgb.shape[:2]
        factor = 1 / (1 - alteration.sharpness)
        small = (max(8, round(width * factor)), max(8, round(height * factor)))
        rgb = cv2.resize(
            cv2.resize(rgb, small, interpolation=cv2.INTER_AREA), (width, height), interpolation=cv2.INTER_LINEAR
        )
    return np.asarray(rgb, np.uint8)


def _move(
    layers: tuple[UInt8Array, Float32Array], landmarks: Float32Array, size: float, alteration: Alteration
) -> tuple[UInt8Array, Float32Array]:
    """Shift and scale the inserted face and its mask together, about the face's centre."""
    centre = (landmarks.min(axis=0) + landmarks.max(axis=0)) / 2
    shift = np.array(alteration.shift) * size
    offset = centre + shift - alteration.scale * centre
    move = np.array([[alteration.scale, 0, offset[0]], [0, alteration.scale, offset[1]]])
    shape = layers[0].shape[1], layers[0].shape[0]
    image = cv2.warpAffine(layers[0], move, shape, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    mask = cv2.warpAffine(layers[1], move, shape, flags=cv2.INTER_LINEAR)
    return np.asarray(image, np.uint8), np.asarray(mask, np.float32)
