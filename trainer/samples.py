"""Training samples: a real face and a fake made of it, cut as in serving and degraded alike."""

from __future__ import annotations

import cv2
import numpy as np

from dfd_core.blending import self_blend
from dfd_core.checks.appearance import network_input
from dfd_core.settings import FaceSettings
from dfd_core.types import Float32Array, UInt8Array
from trainer.degrade import degrade
from trainer.pool import FacePool
from trainer.recipes import Recipe

CROP_SCALE = FaceSettings().crop_scale
CROP_CAP = FaceSettings().crop_cap_px


def draw_pair(pool: FacePool, index: int, recipe: Recipe, size: int, rng: np.random.Generator) -> UInt8Array:
    """Uint8 (2, size, size, 3) RGB: picture `index` of the pool, and its self-blended fake."""
    image, landmarks, box = pool.image(index), pool.landmarks[index], pool.boxes[index]
    if rng.random() < 0.5:
        image, landmarks, box = _mirror(image, landmarks, box)
    low, high = recipe.degradation.face_px
    side = round(float(np.exp(rng.uniform(np.log(low), np.log(high)))))
    real, points = _cut(image, landmarks, box, side, rng)
    real = _light(real, rng)
    fake, mask = self_blend(real, points, rng)
    for _ in range(3):  # a mask that missed the crop, or a blend that changed nothing, is no fake
        if np.abs(fake.astype(np.int16) - real).mean() > 0.25 and mask.max() > 0.5:
            break
        fake, mask = self_blend(real, points, rng)
    pair = degrade((real, fake), recipe.degradation, rng)
    if side > CROP_CAP:
        pair = [cv2.resize(p, (CROP_CAP, CROP_CAP), interpolation=cv2.INTER_AREA) for p in pair]
    return np.stack([network_input(np.asarray(p, np.uint8), size) for p in pair])


def draw_batch(pool: FacePool, recipe: Recipe, size: int, seed: int, step: int) -> tuple[UInt8Array, Float32Array]:
    """Batch `step` of a run: images uint8 (2 P, size, size, 3), labels float32 (2 P, 1) with 1 for fake.

    It depends on `seed` and `step` alone, so that a resumed run goes on with the batches that it would have seen.
    """
    rng = np.random.default_rng([seed, step])
    chosen = rng.choice(len(pool), recipe.pairs, replace=False, p=weights_of(pool, recipe))
    pairs = [draw_pair(pool, int(index), recipe, size, rng) for index in chosen]
    labels = np.tile(np.array([[0.0], [1.0]], np.float32), (recipe.pairs, 1))
    return np.concatenate(pairs), labels


def weights_of(pool: FacePool, recipe: Recipe) -> Float32Array:
    """Chance of each picture, float64 (N,), such that the capped sources make up at most half of a batch."""
    capped = np.array([source.startswith(recipe.capped) for source in pool.sources])
    chances = np.ones(len(pool))
    if 0 < capped.sum() < len(pool) and capped.mean() > 0.5:
        chances[capped] = (~capped).sum() / capped.sum()
    return chances / chances.sum()


def _mirror(
    image: UInt8Array, landmarks: Float32Array, box: Float32Array
) -> tuple[UInt8Array, Float32Array, Float32Array]:
    width = image.shape[1]
    flipped = box.copy()
    flipped[[0, 2]] = width - box[[2, 0]]
    turned = landmarks.copy()
    turned[:, 0] = width - landmarks[:, 0]
    return np.ascontiguousarray(image[:, ::-1]), turned, flipped


def _cut(
    image: UInt8Array, landmarks: Float32Array, box: Float32Array, side: int, rng: np.random.Generator
) -> tuple[UInt8Array, Float32Array]:
    """The serving crop at `side` px with the detector's jitter, and the landmarks in it."""
    native = float((box[2:] - box[:2]).max()) * CROP_SCALE * rng.uniform(0.88, 1.12)
    centre = (box[:2] + box[2:]) / 2 + rng.uniform(-0.04, 0.04, 2) * native
    scale = side / native
    angle = np.deg2rad(rng.uniform(-8, 8))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * scale
    shift = side / 2 - turn @ centre
    if scale < 0.67:  # scale down in two steps, the first by area, or the warp would alias
        first = min(1.0, scale * 1.4)
        image = cv2.resize(image, None, fx=first, fy=first, interpolation=cv2.INTER_AREA)
        warp = np.concatenate([turn / first, shift[:, None]], axis=1)
    else:
        warp = np.concatenate([turn, shift[:, None]], axis=1)
    cut = cv2.warpAffine(image, warp, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.uint8), np.asarray(landmarks @ turn.T + shift, np.float32)


def _light(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """Another exposure, contrast and white balance, for both of a pair."""
    if rng.random() < 0.3:
        return image
    steps = np.arange(256, dtype=np.float32) / 255
    curve = steps ** rng.uniform(0.7, 1.5)
    curves = [np.clip(curve * rng.uniform(0.85, 1.1) * 255, 0, 255) for _ in range(3)]
    return np.asarray(cv2.LUT(image, np.stack(curves, axis=-1)[None].astype(np.uint8)), np.uint8)
