"""Where the statistics of the check texture are taken: the whole crop, the face in its middle, and its surround."""

from __future__ import annotations

import numpy as np

from dfd_core.types import Float32Array

FACE, SURROUND = 0.27, 0.36  # of the crop's side, from its middle: within the one, beyond the other


def regions(height: int, width: int) -> list[Float32Array]:
    """Weights float32 (1, h, w, 1), summing to 1, of the whole crop, of the face in its middle, and of its margin."""
    y, x = ((np.arange(side) + 0.5) / side - 0.5 for side in (height, width))
    away = np.maximum(abs(y)[:, None], abs(x)[None, :])
    chosen = [np.ones_like(away), away < FACE, away > SURROUND]
    return [np.asarray(where / where.sum(), np.float32)[None, :, :, None] for where in chosen]
