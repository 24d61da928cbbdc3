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
from dfd_core.models.network import LOGIT, Runtime
from dfd_core.types import FaceTrack, Float32Array

STRIDE = 4  # one in so many frames is looked at: neighbours look alike


class Texture:
    """Logit of every fourth crop; a window's score is the sigmoid of their mean."""

    name = "texture"
    columns: tuple[str, ...] = ("logit",)

    def __init__(self, network: Runtime, size: int) -> None:
        """`network` takes crops of `size` px."""
        self._network, self._size = network, size

    def features(self, tracks: Sequence[FaceTrack]) -> list[Float32Array]:
        """The chosen crops of all tracks go through the network together."""
        chosen = [np.flatnonzero(track.present)[::STRIDE] for track in tracks]
        images = [
            network_input(track.crops[row], self._size)
            for track, own in zip(tracks, chosen, strict=True)
            for row in own
        ]
        stacked = np.stack(images) if images else np.zeros((0, self._size, self._size, 3), np.uint8)
        logits = self._network.run(stacked)[LOGIT].reshape(len(images))
        measured = []
        for track, own in zip(tracks, chosen, strict=True):
            rows = np.full((len(track.boxes), 1), np.nan, np.float32)
            rows[own, 0], logits = logits[: len(own)], logits[len(own) :]
            measured.append(rows)
        return measured

    def score(self, features: Float32Array) -> float | None:
        """Mean logit as a probability; None where no frame was looked at."""
        logits = features[:, 0][np.isfinite(features[:, 0])].astype(np.float64)
        return float(1 / (1 + np.exp(-np.clip(np.mean(logits), -60, 60)))) if len(logits) else None
