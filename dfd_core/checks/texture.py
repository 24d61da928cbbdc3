"""The texture of the face, and how it differs from that around it, as a network of photographs sees them.

Means and deviations of the shallow feature maps of a network that was trained on ImageNet and never on fakes, weighed
by Fisher's linear discriminant. Little is learned, so that little is learned by heart: on methods, pages and people
that neither has seen it beats networks that were trained through (docs/texture.md). Compare Chai et al., "What makes
fake images detectable?" (ECCV 2020, arXiv:2008.10588) for shallow features, and Yermakov et al. (arXiv:2508.06248) for
tuning few weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dfd_core.checks.appearance import network_input
from dfd_core.errors import ModelError
from dfd_core.models.network import LOGIT, Runtime
from dfd_core.types import FaceTrack, Float32Array, UInt8Array

STRIDE = 4  # one in so many frames is looked at: neighbours look alike
VIEWS = (1.0, 0.5)  # shares of the crop's side, by turns: 1.6 face boxes, and .8, the face alone and finer


def looks(frames: int, views: int) -> list[tuple[int, int]]:
    """Which of `frames` is looked at in which of `views`: by turns, and a frame in several where there are too few."""
    return [(n % frames, n % views) for n in range(max(frames, views))] if frames else []


def view_of(crop: UInt8Array, view: int) -> UInt8Array:
    """The middle of `crop` uint8 (S, S, 3) that a view shows."""
    side = crop.shape[0]
    kept = round(side * VIEWS[view])
    first = (side - kept) // 2
    return crop[first : first + kept, first : first + kept]


class Texture:
    """Logit of every fourth crop, in views by turns; a window's score is the sigmoid of their mean."""

    name = "texture"
    columns: tuple[str, ...] = ("logit",)

    def __init__(self, network: Runtime, size: int) -> None:
        """`network` takes crops of `size` px, and gives a logit a view; ModelError where it has too many."""
        self._network, self._size = network, size
        self._views = network.run(self.images([]))[LOGIT].shape[1]
        if self._views > len(VIEWS):
            raise ModelError(
                f"The texture of the model has {self._views} views, this dfd knows {len(VIEWS)}: update dfd."
            )

    def images(self, tracks: Sequence[FaceTrack]) -> UInt8Array:
        """What the network is shown of all tracks, in their order: uint8 (B, size, size, 3)."""
        images = [
            network_input(view_of(track.crops[row], view), self._size)
            for track in tracks
            for row, view in self._looked(track)
        ]
        return np.stack(images) if images else np.zeros((0, self._size, self._size, 3), np.uint8)

    def features(self, tracks: Sequence[FaceTrack]) -> list[Float32Array]:
        """The chosen crops of all tracks go through the network together."""
        logits, measured = self._network.run(self.images(tracks))[LOGIT], []
        for track in tracks:
            own = self._looked(track)
            found: dict[int, list[float]] = {}
            for (row, view), given in zip(own, logits, strict=False):
                found.setdefault(row, []).append(float(given[view]))
            logits, rows = logits[len(own) :], np.full((len(track.boxes), 1), np.nan, np.float32)
            for row, values in found.items():
                rows[row, 0] = np.mean(values)
            measured.append(rows)
        return measured

    def _looked(self, track: FaceTrack) -> list[tuple[int, int]]:
        """Row and view of each look at a track."""
        own = np.flatnonzero(track.present)[::STRIDE]
        return [(int(own[n]), view) for n, view in looks(len(own), self._views)]

    def score(self, features: Float32Array) -> float | None:
        """Mean logit as a probability; None where no frame was looked at."""
        logits = features[:, 0][np.isfinite(features[:, 0])].astype(np.float64)
        return float(1 / (1 + np.exp(-np.clip(np.mean(logits), -60, 60)))) if len(logits) else None
