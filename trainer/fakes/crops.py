"""Crops of faces as serving cuts them, with the jitter of its face finder; mirrored, and in another light."""

from __future__ import annotations

import cv2
import numpy as np

from dfd_core.settings import FaceSettings
from dfd_core.types import Float32Array, UInt8Array
from trainer.data.face_pool import Picture

CROP_SCALE = FaceSettings().crop_scale
CROP_CAP = FaceSettings().crop_cap_px


def native_side(picture: Picture) -> float:
    """Side of the serving crop in px of the picture."""
    return float((picture.box[2:] - picture.box[:2]).max()) * CROP_SCALE


def mirrored(picture: Picture, mirror: bool) -> Picture:
    """The picture, or its mirror image."""
    if not mirror:
        return picture
    return Picture(*_mirror(picture.image, picture.box, picture.landmarks))


def cut(picture: Picture, side: int, rng: np.random.Generator) -> tuple[UInt8Array, Float32Array]:
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


def light(image: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """Another exposure, contrast and white balance, for both of a pair."""
    if rng.random() < 0.3:
        return image
    steps = np.arange(256, dtype=np.float32) / 255
    curve = steps ** rng.uniform(0.7, 1.5)
    curves = [np.clip(curve * rng.uniform(0.85, 1.1) * 255, 0, 255) for _ in range(3)]
    return np.asarray(cv2.LUT(image, np.stack(curves, axis=-1)[None].astype(np.uint8)), np.uint8)


def _mirror(
    image: UInt8Array, box: Float32Array, landmarks: Float32Array
) -> tuple[UInt8Array, Float32Array, Float32Array]:
    width = image.shape[1]
    flipped = box.copy()
    flipped[[0, 2]] = width - box[[2, 0]]
    turned = landmarks.copy()
    turned[:, 0] = width - landmarks[:, 0]
    return np.ascontiguousarray(image[:, ::-1]), flipped, turned
