"""Does the face carry the same noise as what surrounds it? A face pasted in went through another history.

Residuals are those of the rich model of Fridrich and Kodovsky ("Rich Models for Steganalysis of Digital Images", IEEE
TIFS 2012): the fixed second-order and 5x5 "KV" high-pass kernels, truncated. Comparing a region with its surround
follows Zhou et al. ("Two-Stream Neural Networks for Tampered Face Detection", CVPRW 2017). The level of each area is
the lower quartile of its blocks' energies, since noise shows where texture does not.

Recompression removes most of this signal; crops that were scaled to less than half are not measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from dfd_core.checks.areas import face_areas, grey_crops, spread
from dfd_core.types import FaceTrack, Float32Array

_KV = np.array(
    [[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]], np.float32
)
_SECOND = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)  # sum of the horizontal and the vertical [1 -2 1]
_KERNELS = (_KV / 12, _SECOND / 4)
_TRUNCATE = 8.0  # grey levels
_BLOCK = 8  # px
_FLOOR = 0.02  # energy of rounding to whole grey levels, against the logarithm of nothing
_MIN_SCALE = 0.5  # stored px for each px of the frame
_MIN_BLOCKS = 8  # in either area


class Noise:
    """Log ratio (base 2) of noise in face and surround by two kernels, and the difference of their kurtoses."""

    name = "noise"
    columns = ("ratio_kv", "ratio_second", "kurtosis_gap")

    # The face is the smoother one in most fakes, generated small and warped: fake is where the ratio is low.
    centre = -0.6
    scale = 0.8

    def features(self, tracks: Sequence[FaceTrack]) -> list[Float32Array]:
        """For each track float32 (N, 3)."""
        return [_measure(track) for track in tracks]

    def score(self, features: Float32Array) -> float | None:
        """Sigmoid of how far the median ratio lies below `centre`, in units of `scale`."""
        ratios = features[:, :2][np.isfinite(features[:, 0])]
        if not len(ratios):
            return None
        low = (self.centre - float(np.median(ratios.mean(axis=1)))) / self.scale
        return float(1 / (1 + np.exp(-np.clip(low, -30, 30))))


def _measure(track: FaceTrack) -> Float32Array:
    size = track.crops.shape[1]
    nothing = np.full((int(track.present.sum()), 3), np.nan, np.float32)
    blocks = size // _BLOCK
    if not len(nothing) or size < _MIN_SCALE * track.side or blocks < 6:
        return spread(track, nothing)
    face, surround = face_areas(track, blocks)
    if min(face.sum(), surround.sum()) < _MIN_BLOCKS:
        return spread(track, nothing)
    grey = grey_crops(track)
    columns = []
    for kernel in _KERNELS:
        second, fourth = _block_moments(grey, kernel, blocks)
        level = [np.quantile(second[:, area], 0.25, axis=1) + _FLOOR for area in (face, surround)]
        columns.append(np.log2(level[0] / level[1]))
        kurtosis = [
            fourth[:, area].mean(axis=1) / (second[:, area].mean(axis=1) + _FLOOR) ** 2 for area in (face, surround)
        ]
        gap = np.log2((kurtosis[0] + 1) / (kurtosis[1] + 1))
    return spread(track, np.stack([*columns, gap], axis=1))


def _block_moments(grey: Float32Array, kernel: Float32Array, blocks: int) -> tuple[Float32Array, Float32Array]:
    """Mean second and fourth power of the truncated residual in each block, float32 (P, blocks, blocks)."""
    used = blocks * _BLOCK
    shape = (blocks, blocks)
    second, fourth = [], []
    for image in grey:
        residual = np.clip(cv2.filter2D(image, cv2.CV_32F, kernel), -_TRUNCATE, _TRUNCATE)[:used, :used]
        power = residual * residual
        second.append(cv2.resize(power, shape, interpolation=cv2.INTER_AREA))
        fourth.append(cv2.resize(power * power, shape, interpolation=cv2.INTER_AREA))
    return np.stack(second), np.stack(fourth)
