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
import numpy.typing as npt

from dfd_core.checks.areas import face_areas, gradient_energy, grey_of, small_crops
from dfd_core.types import FaceTrack, Float32Array, UInt8Array

_SIZE = 64  # px of the copy for flow and flicker
_FLOOR = 1.0  # grey levels
_GRID = np.stack(np.meshgrid(np.arange(_SIZE), np.arange(_SIZE)), axis=-1).astype(np.float32)
Mask = npt.NDArray[np.bool_]

# What counts as half-way to fake, and how much more is one unit; columns as below.
_CENTRE = np.array([0.02, 0.03, 0.25, 0.5], np.float32)
_SCALE = np.array([0.02, 0.03, 0.25, 0.7], np.float32)


class Temporal:
    """Four measurements of a frame against the one before it, NaN where that one is missing.

    `jitter`: face widths; `colour`: log change of the mean colour; `sharpness`: log2 change of the gradient energy;
    `residual`: log2 of the unexplained change in the face over that in the surround.
    """

    name = "temporal"
    columns: tuple[str, ...] = ("jitter", "colour", "sharpness", "residual")

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
    small = small_crops(track, _SIZE)
    grey = grey_of(small)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    rows[:, 0] = _jitter(track)
    rows[pairs, 1] = _colour_flicker(small, face, surround)[place[pairs] - 1]
    rows[pairs, 2] = _sharpness_flicker(grey, face, surround)[place[pairs] - 1]
    rows[pairs, 3] = [_residual(flow, grey[i - 1], grey[i], face, surround) for i in place[pairs]]
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


def _colour_flicker(small: UInt8Array, face: Mask, surround: Mask) -> Float32Array:
    """Change of the face's log colour beyond that of the surround, largest channel; (P - 1,)."""
    change = [np.diff(np.log(small[:, area].mean(axis=1) + _FLOOR), axis=0) for area in (face, surround)]
    return np.asarray(np.abs(change[0] - change[1]).max(axis=1), np.float32)


def _sharpness_flicker(grey: UInt8Array, face: Mask, surround: Mask) -> Float32Array:
    """Change of the face's log2 gradient energy beyond that of the surround; (P - 1,)."""
    energy = gradient_energy(grey)
    change = [np.diff(np.log2(energy[:, area].mean(axis=1) + _FLOOR)) for area in (face, surround)]
    return np.asarray(np.abs(change[0] - change[1]), np.float32)


def _residual(flow: cv2.DISOpticalFlow, before: UInt8Array, now: UInt8Array, face: Mask, surround: Mask) -> float:
    """Log2 of the change that motion does not explain, each over its area's contrast: face over surround."""
    motion = _GRID + flow.calc(now, before, None)
    moved = cv2.remap(before, motion, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    unexplained = cv2.absdiff(now, moved)
    level = [(unexplained[area].mean() + 0.5) / (now[area].std() + 4) for area in (face, surround)]
    return float(np.log2(level[0] / level[1]))
