"""Random motion: of the virtual camera, of a filmed face, of a mouth that is none of its own; a blend's tremor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dfd_core.faces.blending import Alteration, draw_alteration
from dfd_core.types import Float32Array

FPS = 25


@dataclass(frozen=True, slots=True)
class Tremor:
    """One alteration a clip that trembles from frame to frame, as methods that see single frames leave it."""

    alteration: Alteration
    seed: int  # of what else is drawn once a clip
    size: float  # 0: it keeps still

    def shaken(self, points: Float32Array, rng: np.random.Generator) -> Float32Array:
        """Landmarks float32 (468, 2) px as the method finds them in one of the frames."""
        moved = points + np.float32(rng.normal(0, 0.004 * self.size * np.ptp(points), 2))
        return np.asarray(moved, np.float32)


def draw_tremor(rng: np.random.Generator, least_ratio: float) -> Tremor:
    """Random parameters, ours; the blend is at least `least_ratio` strong."""
    alteration = draw_alteration(rng)
    while alteration.ratio < least_ratio:
        alteration = draw_alteration(rng)
    seed = int(rng.integers(1 << 32))
    return Tremor(alteration, seed, float(rng.choice([0.0, 0.3, 1.0]) * rng.uniform(0.5, 1.5)))


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
