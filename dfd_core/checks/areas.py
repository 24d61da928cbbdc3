"""Where the face is within its crops, and where its surround is: what the checks compare."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from dfd_core.types import FaceTrack, Float32Array, UInt8Array

_INNER = 0.8  # of the box: the ellipse that is surely face
_OUTER = 1.3  # of the box: beyond this ellipse is surely surround


def face_areas(track: FaceTrack, size: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Two masks, bool (size, size), of face and surround in the track's crops scaled to `size` px a side."""
    spans = track.boxes[track.present][:, 2:] - track.boxes[track.present][:, :2]
    half = np.median(spans, axis=0) / track.side / 2  # of the crop's side: x, y
    places = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    radius = (places[None, :] / half[0]) ** 2 + (places[:, None] / half[1]) ** 2
    return radius <= _INNER**2, radius >= _OUTER**2


def small_crops(track: FaceTrack, size: int) -> UInt8Array:
    """The P present crops scaled to `size` px a side, uint8 (P, size, size, 3)."""
    rows = np.flatnonzero(track.present)
    small = np.empty((len(rows), size, size, 3), np.uint8)
    kind = cv2.INTER_AREA if track.crops.shape[1] > size else cv2.INTER_LINEAR
    for image, row in zip(small, rows, strict=True):
        cv2.resize(track.crops[row], (size, size), dst=image, interpolation=kind)
    return small


def small_greys(track: FaceTrack, size: int) -> UInt8Array:
    """Luma of the P present crops scaled to `size` px a side, uint8 (P, size, size); a third of the work in colour."""
    rows = np.flatnonzero(track.present)
    small = np.empty((len(rows), size, size), np.uint8)
    kind = cv2.INTER_AREA if track.crops.shape[1] > size else cv2.INTER_LINEAR
    for luma, row in zip(small, rows, strict=True):
        cv2.resize(cv2.cvtColor(track.crops[row], cv2.COLOR_RGB2GRAY), (size, size), dst=luma, interpolation=kind)
    return small


def grey_of(images: UInt8Array) -> UInt8Array:
    """Luma of `images` uint8 (P, S, S, 3), as uint8 (P, S, S)."""
    grey = np.empty(images.shape[:3], np.uint8)
    for image, luma in zip(images, grey, strict=True):
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY, dst=luma)
    return grey


def gradient_energy(grey: UInt8Array) -> Float32Array:
    """Squared Laplacian of each image of `grey` uint8 (P, S, S), as float32."""
    edges = np.empty(grey.shape, np.float32)
    for luma, edge in zip(grey, edges, strict=True):
        cv2.Laplacian(luma, cv2.CV_32F, dst=edge)
    return np.multiply(edges, edges, out=edges)


def spread(track: FaceTrack, measured: npt.NDArray[np.floating]) -> Float32Array:
    """Rows of the present frames, (P, F), put in their places among all N frames; NaN in the others."""
    rows = np.full((len(track.boxes), measured.shape[1]), np.nan, np.float32)
    rows[track.present] = measured
    return rows
