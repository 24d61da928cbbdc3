"""Smooth random motion, of the virtual camera, of a filmed face, and of a mouth that is none of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dfd_core.types import Float32Array

FPS = 25


def smooth_paths(
    rng: np.random.Generator, frames: int, sizes: Sequence[float], hertz: tuple[float, float]
) -> Float32Array:
    """Float32 (frames, len(sizes)): two waves each, between the frequencies of `hertz`, up to about `sizes`."""
    times = np.arange(frames) / FPS
    waves = [
        sum(rng.normal(0, 0.6) * np.sin(2 * np.pi * (rng.uniform(*hertz) * times + rng.random())) for _ in range(2))
        for _ in sizes
    ]
    return np.asarray(np.stack(waves, axis=1) * np.array(sizes), np.float32)
