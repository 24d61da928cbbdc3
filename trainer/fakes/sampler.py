"""Training samples: a real face and a fake one, cut as in serving and degraded alike."""

from __future__ import annotations

from dataclasses import asdict

import cv2
import numpy as np

from dfd_core.checks.appearance import network_input
from dfd_core.errors import DataError
from dfd_core.faces.blending import draw_alteration, face_mask, self_blend
from dfd_core.settings import FaceSettings
from dfd_core.types import Float32Array, Float64Array, UInt8Array
from trainer.data.face_pool import RESTORED, FacePool, Picture
from trainer.fakes.degrade import degrade, equally_sharp
from trainer.fakes.manipulations import LIP_SYNCED, LIP_SYNCED_PARTS, MOUTH, SELF_BLENDED, SWAPPED, lip_sync, pasted
from trainer.fakes.resynthesis import draw_resynthesis, resynthesise
from trainer.fakes.swapping import swap
from trainer.training.recipes import Mixture, Recipe

CROP_SCALE = FaceSettings().crop_scale
CROP_CAP = FaceSettings().crop_cap_px
RESYNTHESISED = "resynthesised"
MADE = (SELF_BLENDED, SWAPPED, LIP_SYNCED, RESYNTHESISED)  # kinds of fakes that are made on the way, of a real face
_LEAST_SIDE = 64  # px, of a crop
_TRIES = 20  # faces that are drawn until one has landmarks
_RESTORED_FROM_PX = 128  # side of a crop: in smaller ones a restored face looks like any other
_MADE_AT = 0.35, 0.85  # of a lip-synced face's size, so that its lower part is coarser
_PASTED = 0.5  # share of restored faces of which only the face is taken, as after a swap


def draw_pair(
    pool: FacePool, kind: str, recipe: Recipe, rng: np.random.Generator, index: int | None = None
) -> UInt8Array:
    """Uint8 (2, S, S, 3) RGB: a real face and a fake of `kind`, cut and degraded alike.

    One that is made on the way is made of face `index` of the pool, or of a random one; for other kinds `index` is the
    fake's.
    """
    untouched = rng.random() < recipe.degradation.untouched_share
    side = CROP_CAP if untouched else _side(recipe, rng, _RESTORED_FROM_PX if kind == RESTORED else 0)
    if kind == SELF_BLENDED:
        pair = _self_blended(pool, recipe, side, rng, index)
    elif kind == SWAPPED:
        pair = _swapped(pool, recipe, side, rng, index)
    elif kind == LIP_SYNCED:
        pair = _lip_synced(pool, recipe, side, rng, index)
    elif kind == RESYNTHESISED:
        pair = _resynthesised(pool, recipe, side, rng, index)
    else:
        pair = _of_data_set(pool, pool.draw_fake(kind, rng) if index is None else index, side, rng)
        if rng.random() < recipe.degradation.equal_sharpness_share:
            pair = equally_sharp(pair, recipe.size)
    return _as_seen(pair, recipe) if untouched else _degraded(pair, recipe, rng)


def draw_real(pool: FacePool, recipe: Recipe, rng: np.random.Generator, index: int) -> UInt8Array:
    """Uint8 (S, S, 3) RGB: real face `index`, cut and degraded as those of a pair are."""
    side = _side(recipe, rng)
    return np.asarray(_degraded([_real(pool, side, rng, index)], recipe, rng)[0], np.uint8)


def draw_batch(pool: FacePool, recipe: Recipe, seed: int, step: int) -> tuple[UInt8Array, Float32Array]:
    """Batch `step` of a run: images uint8 (2 P, S, S, 3), labels float32 (2 P, 1) with 1 for fake.

    It depends on `seed` and `step` alone, so that a resumed run goes on with the batches that it would have seen.
    """
    rng = np.random.default_rng([seed, step])
    shares = shares_of(pool, recipe.fakes)
    kinds = rng.choice(list(shares), recipe.pairs, p=list(shares.values()))
    several = len(pool.reals) >= recipe.pairs  # then no face is seen twice in a batch
    chosen = rng.choice(pool.reals, recipe.pairs, replace=not several, p=weights_of(pool, recipe))
    pairs = [
        draw_pair(pool, str(kind), recipe, rng, int(index) if kind in MADE else None)
        for kind, index in zip(kinds, chosen, strict=True)
    ]
    return np.concatenate(pairs), labels_of(recipe.pairs)


def labels_of(pairs: int) -> Float32Array:
    """Float32 (2 P, 1): 0 and 1 in turn."""
    return np.tile(np.array([[0.0], [1.0]], np.float32), (pairs, 1))


def shares_of(pool: FacePool, mixture: Mixture) -> dict[str, float]:
    """Shares of the kinds of fakes that the pool can give; DataError where it can give none of the recipe's."""
    there = {**dict.fromkeys(MADE, len(pool.reals)), **{kind: len(rows) for kind, rows in pool.fakes.items()}}
    shares = {kind: share for kind, share in asdict(mixture).items() if share > 0 and there[kind]}
    if not shares:
        wanted = " or ".join(kind.replace("_", "-") for kind, share in asdict(mixture).items() if share > 0)
        raise DataError(f"The recipe trains on {wanted} fakes, and the data has none: give --data that has some.")
    return {kind: share / sum(shares.values()) for kind, share in shares.items()}


def weights_of(pool: FacePool, recipe: Recipe) -> Float64Array:
    """Chance of each real face, float64 (R,): even, but that the capped sources make up at most half of a batch.

    Where the recipe caps none, pages count by the root of their files.
    """
    if not recipe.capped:
        return pool.chances
    capped = np.char.startswith(pool.sources[pool.reals], recipe.capped)
    chances = np.ones(len(capped))
    if 0 < capped.sum() < len(capped) and capped.mean() > 0.5:
        chances[capped] = (~capped).sum() / capped.sum()
    return chances / chances.sum()


def _side(recipe: Recipe, rng: np.random.Generator, least: int = 0) -> int:
    """Native side of a crop, px."""
    low, high = recipe.degradation.face_px
    low = min(max(low, least), high)
    return round(float(np.exp(rng.uniform(np.log(low), np.log(high)))))


def _degraded(crops: list[UInt8Array], recipe: Recipe, rng: np.random.Generator) -> UInt8Array:
    """Crops of one side, degraded alike, as the network sees them: uint8 (N, S, S, 3)."""
    return _as_seen(degrade(crops, recipe.degradation, rng), recipe)


def _as_seen(crops: list[UInt8Array], recipe: Recipe) -> UInt8Array:
    """Crops of one side as the network sees them, uint8 (N, S, S, 3)."""
    if crops[0].shape[0] > CROP_CAP:
        crops = [cv2.resize(c, (CROP_CAP, CROP_CAP), interpolation=cv2.INTER_AREA) for c in crops]
    return np.stack([network_input(np.asarray(c, np.uint8), recipe.size) for c in crops])


def _real(pool: FacePool, side: int, rng: np.random.Generator, index: int) -> UInt8Array:
    """A real crop in some light, `side` px."""
    real, _ = _cut(_mirrored(pool.read(index, rng.random()), rng.random() < 0.5), side, rng)
    return _light(real, rng)


def _self_blended(
    pool: FacePool, recipe: Recipe, side: int, rng: np.random.Generator, index: int | None
) -> list[UInt8Array]:
    """A real crop and its self-blended fake, both `side` px."""
    real, points = _real_with_landmarks(pool, recipe, side, rng, index)
    fake, mask = self_blend(real, points, rng, recipe.parts)
    for _ in range(3):  # a mask that missed the crop, or a blend that changed nothing, is no fake
        if np.abs(fake.astype(np.int16) - real).mean() > 0.25 and mask.max() > 0.5:
            break
        fake, mask = self_blend(real, points, rng, recipe.parts)
    return [real, fake]


def _swapped(
    pool: FacePool, recipe: Recipe, side: int, rng: np.random.Generator, index: int | None
) -> list[UInt8Array]:
    """A real crop, and the same with the face of somebody who looks the same way, both `side` px."""
    index, picture = _with_landmarks(pool, recipe, rng, index)
    mirrored = rng.random() < 0.5
    real, points = _cut(_mirrored(picture, mirrored), side, rng)
    other = _mirrored(pool.read(pool.alike(index, rng), rng.random()), mirrored)
    light = int(rng.integers(1 << 32))
    fake, _ = swap(real, points, other.image, other.landmarks, rng)
    return [_light(image, np.random.default_rng(light)) for image in (real, fake)]


def _lip_synced(
    pool: FacePool, recipe: Recipe, side: int, rng: np.random.Generator, index: int | None
) -> list[UInt8Array]:
    """A real crop, and the same with the lower face made anew, coarser and with another mouth; both `side` px."""
    real, points = _real_with_landmarks(pool, recipe, side, rng, index)
    made_at = rng.uniform(*_MADE_AT) * float(np.ptp(points, axis=0).max())
    return [real, lip_sync(real, points, draw_alteration(rng, LIP_SYNCED_PARTS), made_at, rng.normal(0, MOUTH))]


def _real_with_landmarks(
    pool: FacePool, recipe: Recipe, side: int, rng: np.random.Generator, index: int | None
) -> tuple[UInt8Array, Float32Array]:
    """A real crop in some light, `side` px, and the landmarks in it."""
    _, picture = _with_landmarks(pool, recipe, rng, index)
    real, points = _cut(_mirrored(picture, rng.random() < 0.5), side, rng)
    return _light(real, rng), points


def _with_landmarks(pool: FacePool, recipe: Recipe, rng: np.random.Generator, index: int | None) -> tuple[int, Picture]:
    """Real face `index`, or a random one where it is not given or has no landmarks."""
    for _ in range(_TRIES):
        index = int(rng.choice(pool.reals, p=weights_of(pool, recipe))) if index is None else index
        picture = pool.read(index, rng.random())
        if np.isfinite(picture.landmarks).all():
            return index, picture
        index = None
    raise DataError("The data has hardly a face with landmarks: faces must be larger to be blended.")


def _resynthesised(
    pool: FacePool, recipe: Recipe, side: int, rng: np.random.Generator, index: int | None
) -> list[UInt8Array]:
    """A real crop, and the same as a generator would have made it, both `side` px."""
    index = int(rng.choice(pool.reals, p=weights_of(pool, recipe))) if index is None else index
    real = _real(pool, side, rng, index)
    return [real, resynthesise(real, draw_resynthesis(rng))]


def _of_data_set(pool: FacePool, fake: int, side: int, rng: np.random.Generator) -> list[UInt8Array]:
    """A real face and fake `fake`, cut and lit alike; of some restored ones only the face is taken.

    Both are `side` px, or as large as the smaller of the two is: enlarging one of them would tell it.
    """
    moment, seed, mirrored = rng.random(), int(rng.integers(1 << 32)), rng.random() < 0.5
    partner, pair = pool.partner(fake, rng), []
    pictures = [pool.read(index, moment) for index in (partner, fake)]
    side = min(side, *(max(_LEAST_SIDE, round(native_side(picture))) for picture in pictures))
    for picture in pictures:
        alike = np.random.default_rng(seed)
        crop, points = _cut(_mirrored(picture, mirrored), side, alike)
        pair.append(_light(crop, alike))
    restored = pool.sources[fake].startswith(RESTORED) and pool.is_made_of(fake, partner)
    if restored and np.isfinite(points).all() and rng.random() < _PASTED:
        pair[1] = pasted(pair[1], pair[0], face_mask(pair[0].shape, points, draw_alteration(rng)))
    return pair


def native_side(picture: Picture) -> float:
    """Side of the serving crop in px of the picture."""
    return float((picture.box[2:] - picture.box[:2]).max()) * CROP_SCALE


def _mirrored(picture: Picture, mirrored: bool) -> Picture:
    if not mirrored:
        return picture
    return Picture(*_mirror(picture.image, picture.box, picture.landmarks))


def _mirror(
    image: UInt8Array, box: Float32Array, landmarks: Float32Array
) -> tuple[UInt8Array, Float32Array, Float32Array]:
    width = image.shape[1]
    flipped = box.copy()
    flipped[[0, 2]] = width - box[[2, 0]]
    turned = landmarks.copy()
    turned[:, 0] = width - landmarks[:, 0]
    return np.ascontiguousarray(image[:, ::-1]), flipped, turned


def _cut(picture: Picture, side: int, rng: np.random.Generator) -> tuple[UInt8Array, Float32Array]:
    """The serving crop at `side` px with the detector's jitter, and the landmarks in it."""
    image, box, landmarks = picture.image, picture.box, picture.landmarks
    native = native_side(picture) * rng.uniform(0.88, 1.12)
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
