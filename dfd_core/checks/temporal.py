"""Does the face move and shine as one with the picture? Fakes made frame by frame tremble and flicker.

Jitter of landmarks is their distance from the line through their neighbours in time (compare Yang, Li and Lyu,
"Exposing Deep Fakes Using Inconsistent Head Poses", ICASSP 2019, which uses landmarks in single frames). Flicker is the
change of colour and of sharpness of the face beyond that of its surround. The residual is what dense optical flow
(DIS: Kroeger et al., ECCV 2016) cannot explain from one frame to the next, in the face over in its surround
(compare Amerini et al., "Deepfake Video Detection through Optical Flow Based CNN", ICCVW 2019). All of it is measured
between consecutive frames of one segment.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from dfd_core.checks.areas import face_areas, grey_crops
from dfd_core.types import FaceTrack, Float32Array

_SIZE = 64  # px of the copy for flow and flicker
_FLOOR = 1.0  # grey levels

# What counts as half-way to fake, and how much more is one unit; columns as below.
_CENTRE = np.array([0.02, 0.04, 0.25, 2.5], np.float32)
_SCALE = np.array([0.02, 0.04, 0.25, 1.0], np.float32)


class Temporal:
    """Four measurements of a frame against the one before it, NaN where that one is missing.

    `jitter`: face widths; `colour`: log change of the mean colour; `sharpness`: log2 change of the gradient energy;
    `residual`: log2 of the unexplained change in the face over that in the surround.
    """

    name = "temporal"
    columns = ("jitter", "colour", "sharpness", "residual")

    def features(self, tracks: Sequence[FaceTrack]) -> list[Float32Array]:
        """For each track float32 (N, 4)."""
        return [_measure(track) for track in tracks]

    def score(self, features: Float32Array) -> float | None:
        """Sigmoid of the mean over columns of (median - centre) / scale; None for fewer than two frames."""
        known = features[np.isfinite(features[:, 1:]).all(axis=1)]
        if not len(known):
            return None
        medians = np.array(
            [np.median(column[np.isfinite(column)]) if np.isfinite(column).any() else np.nan for column in known.T]
        )
        excess = float(np.nanmean((medians - _CENTRE) / _SCALE))
        return float(1 / (1 + np.exp(-np.clip(excess, -30, 30))))


def _measure(track: FaceTrack) -> Float32Array:
    present = track.present
    rows = np.full((len(present), 4), np.nan, np.float32)
    pairs = np.flatnonzero(present[1:] & present[:-1]) + 1  # rows whose predecessor is there too
    if not len(pairs):
        return rows
    place = np.cumsum(present) - 1  # row -> index among the present ones
    face, surround = face_areas(track, _SIZE)
    rows[:, 0] = _jitter(track)
    rows[pairs, 1] = _colour_flicker(track, face, surround)[place[pairs] - 1]
    grey = grey_crops(track, _SIZE)
    rows[pairs, 2] = _sharpness_flicker(grey, face, surround)[place[pairs] - 1]
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    bytes_ = grey.astype(np.uint8)
    rows[pairs, 3] = [_residual(flow, bytes_[i - 1], bytes_[i], face, surround) for i in place[pairs]]
    return rows


def _jitter(track: FaceTrack) -> Float32Array:
    """Mean distance of the landmarks from the middle of their neighbours in time, in face widths; (N,)."""
    jitter = np.full(len(track.boxes), np.nan, np.float32)
    if len(jitter) < 3:
        return jitter
    points = track.landmarks
    off = points[1:-1] - (points[2:] + points[:-2]) / 2
    width = track.boxes[1:-1, 2] - track.boxes[1:-1, 0]
    jitter[2:] = np.linalg.norm(off, axis=2).mean(axis=1) / width
    return jitter


def _colour_flicker(track: FaceTrack, face: np.ndarray, surround: np.ndarray) -> Float32Array:
    """Change of the face's log colour beyond that of the surround, largest channel; (P - 1,)."""
    small = np.stack(
        [cv2.resize(c, (_SIZE, _SIZE), interpolation=cv2.INTER_AREA) for c in track.crops[track.present]]
    ).astype(np.float32)
    change = [np.diff(np.log(small[:, area].mean(axis=1) + _FLOOR), axis=0) for area in (face, surround)]
    return np.asarray(np.abs(change[0] - change[1]).max(axis=1), np.float32)


def _sharpness_flicker(grey: Float32Array, face: np.ndarray, surround: np.ndarray) -> Float32Array:
    """Change of the face's log2 gradient energy beyond that of the surround; (P - 1,)."""
    edges = np.stack([cv2.Laplacian(g, cv2.CV_32F) ** 2 for g in grey])
    change = [np.diff(np.log2(edges[:, area].mean(axis=1) + _FLOOR)) for area in (face, surround)]
    return np.asarray(np.abs(change[0] - change[1]), np.float32)


def _residual(
    flow: cv2.DISOpticalFlow, before: np.ndarray, now: np.ndarray, face: np.ndarray, surround: np.ndarray
) -> float:
    """Log2 of the change that motion does not explain, each over its area's contrast: face over surround."""
    motion = flow.calc(now, before, None)
    y, x = np.mgrid[0:_SIZE, 0:_SIZE].astype(np.float32)
    moved = cv2.remap(before, x + motion[..., 0], y + motion[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    unexplained = cv2.absdiff(now, moved).astype(np.float32)
    level = [(unexplained[area].mean() + 0.5) / (now[area].std() + 4) for area in (face, surround)]
    return float(np.log2(level[0] / level[1]))
