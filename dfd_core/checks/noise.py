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

from dfd_core.checks.areas import face_areas, spread
from dfd_core.types import FaceTrack, Float32Array

_KV = np.array(
    [[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]], np.float32
)
_SECOND = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)  # sum of the horizontal and the vertical [1 -2 1]
_KERNELS = (_KV / 12, _SECOND / 4)  # columns ratio_kv and ratio_second; the kurtosis is that of the former
_TRUNCATE = 8.0  # grey levels
_BLOCK = 8  # px
_FLOOR = 0.02  # energy of rounding to whole grey levels, against the logarithm of nothing
_MIN_SCALE = 0.5  # stored px for each px of the frame
_MIN_BLOCKS = 8  # in either area


class Noise:
    """Log ratio (base 2) of noise in face and surround by two kernels, and the difference of their kurtoses."""

    name = "noise"
    columns: tuple[str, ...] = ("ratio_kv", "ratio_second", "kurtosis_gap")

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
    second, fourth = _block_moments(track, blocks)
    levels = [np.quantile(second[:, :, area], 0.25, axis=2) + _FLOOR for area in (face, surround)]
    ratios = np.log2(levels[0] / levels[1])
    kurtoses = [
        fourth[:, area].mean(axis=1) / (second[0][:, area].mean(axis=1) + _FLOOR) ** 2 for area in (face, surround)
    ]
    gap = np.log2((kurtoses[0] + 1) / (kurtoses[1] + 1))
    return spread(track, np.stack([*ratios, gap], axis=1))


def _block_moments(track: FaceTrack, blocks: int) -> tuple[Float32Array, Float32Array]:
    """Mean powers of the truncated residuals in each block of the P present crops.

    The second of every kernel, float32 (2, P, blocks, blocks), and the fourth of the first kernel, (P, blocks, blocks).
    Big arrays are made once and written over: making them anew costs more than filtering.
    """
    rows = np.flatnonzero(track.present)
    second = np.empty((len(_KERNELS), len(rows), blocks, blocks), np.float32)
    fourth = np.empty(second.shape[1:], np.float32)
    used = blocks * _BLOCK
    grey = np.empty((used, used), np.uint8)
    residual, power = np.empty((used, used), np.float32), np.empty((used, used), np.float32)
    for n, row in enumerate(rows):
        cv2.cvtColor(track.crops[row, :used, :used], cv2.COLOR_RGB2GRAY, dst=grey)
        for k, kernel in enumerate(_KERNELS):
            cv2.filter2D(grey, cv2.CV_32F, kernel, dst=residual)
            np.multiply(residual, residual, out=power)
            np.minimum(power, _TRUNCATE**2, out=power)
            cv2.resize(power, (blocks, blocks), dst=second[k, n], interpolation=cv2.INTER_AREA)
            if k == 0:
                np.multiply(power, power, out=residual)
                cv2.resize(residual, (blocks, blocks), dst=fourth[n], interpolation=cv2.INTER_AREA)
    return second, fourth
