"""The checks: one file a signal. Each measures every frame once and scores any run of measured frames.

Measuring (`features`) and judging (`score`) are apart so that overlapping windows, and windows whose older pixels are
gone, need only the columns that were measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from dfd_core.types import FaceTrack, Float32Array


class Measure(Protocol):
    """What measures single frames; `columns` name what it measures."""

    name: str
    columns: tuple[str, ...]

    def features(self, tracks: Sequence[FaceTrack]) -> list[Float32Array]:
        """For each track float32 (N, len(columns)): one row a frame, NaN where not measurable."""
        ...


class Check(Measure, Protocol):
    """One signal; its `name` is its key in `WindowScore.checks` and in the model card's `fusion`."""

    def score(self, features: Float32Array) -> float | None:
        """How fake the frames of `features` (T, len(columns)) look, 0 to 1; None where nothing was measurable."""
        ...
