"""How good the picture of a face is; not a signal of its own, but what fusion's gates look at.

Sharpness is the energy of the Laplacian (Pech-Pacheco et al., ICPR 2000), here over the grey variance of the same
area, so that a low contrast alone does not count as blur.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dfd_core.checks.areas import face_areas, gradient_energy, small_greys, spread
from dfd_core.types import FaceTrack, Float32Array

_SIZE = 112  # px of the copy that is measured
_CONTRAST_FLOOR = 4.0  # grey levels squared, against division by nothing


class QualityMeasure:
    """The codec's quantiser (NaN: unknown), the face's width in frame px, mean luma (0 to 255), sharpness (0: none).

    `upright` is 1 where the face stands upright, else 0.
    """

    name = "quality"
    columns: tuple[str, ...] = ("quantiser", "width_px", "brightness", "sharpness", "upright")

    def features(self, tracks: Sequence[FaceTrack]) -> list[Float32Array]:
        """For each track float32 (N, 5), NaN rows where the face is absent."""
        return [_measure(track) if track.present.any() else spread(track, np.zeros((0, 5))) for track in tracks]


def _measure(track: FaceTrack) -> Float32Array:
    face, _ = face_areas(track, _SIZE)
    grey = small_greys(track, _SIZE)
    inside = grey[:, face].astype(np.float32)
    boxes = track.boxes[track.present]
    sharpness = gradient_energy(grey)[:, face].mean(axis=1) / (inside.var(axis=1) + _CONTRAST_FLOOR)
    unknown = np.full(len(boxes), np.nan, np.float32)
    quantisers = unknown if track.quantisers is None else track.quantisers[track.present]
    upright = np.full(len(boxes), track.upright, np.float32)
    widths = boxes[:, 2] - boxes[:, 0]
    return spread(track, np.stack([quantisers, widths, inside.mean(axis=1), sharpness, upright], axis=1))
