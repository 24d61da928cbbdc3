"""Where the face is within its crops, and where its surround is: what the checks compare."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from dfd_core.types import FaceTrack, Float32Array

_INNER = 0.8  # of the box: the ellipse that is surely face
_OUTER = 1.3  # of the box: beyond this ellipse is surely surround


def face_areas(track: FaceTrack, size: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Two masks, bool (size, size), of face and surround in the track's crops scaled to `size` px a side."""
    spans = track.boxes[track.present][:, 2:] - track.boxes[track.present][:, :2]
    half = np.median(spans, axis=0) / track.side / 2  # of the crop's side: x, y
    places = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    radius = (places[None, :] / half[0]) ** 2 + (places[:, None] / half[1]) ** 2
    return radius <= _INNER**2, radius >= _OUTER**2


def grey_crops(track: FaceTrack, size: int | None = None) -> Float32Array:
    """Luma of the present crops as float32 (P, size, size), 0 to 255; `size` None leaves them as they are."""
    crops = track.crops[track.present]
    grey = [cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops]
    if size is not None and crops.shape[1] != size:
        kind = cv2.INTER_AREA if crops.shape[1] > size else cv2.INTER_LINEAR
        grey = [cv2.resize(g, (size, size), interpolation=kind) for g in grey]
    return np.asarray(grey, np.float32)


def spread(track: FaceTrack, measured: Float32Array) -> Float32Array:
    """Rows of the present frames, (P, F), put in their places among all N frames; NaN in the others."""
    rows = np.full((len(track.boxes), measured.shape[1]), np.nan, np.float32)
    rows[track.present] = measured
    return rows
