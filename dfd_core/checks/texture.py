"""The texture of the face, and how it differs from that around it, as a network of photographs sees them.

Means and deviations of the shallow feature maps of a network that was trained on ImageNet and never on fakes, weighed
by Fisher's linear discriminant. Little is learned, so that little is learned by heart: on methods, pages and people
that neither has seen it beats networks that were trained through (docs/texture.md). A model may have several such
voices, each learned from fakes of another kind; each accuses by itself. Compare Chai et al., "What makes
fake images detectable?" (ECCV 2020, arXiv:2008.10588) for shallow features, and Yermakov et al. (arXiv:2508.06248) for
tuning few weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dfd_core.checks.appearance import network_input
from dfd_core.checks.views import NAMES, Look, looks
from dfd_core.errors import ModelError
from dfd_core.models.network import LOGIT, Runtime
from dfd_core.types import FaceTrack, Float32Array, UInt8Array


class Texture:
    """A logit for each voice and each view that a segment has (`views.VIEWS`).

    A voice's odds are those of the mean logit of its views; a window's are the sum of the voices' odds, as a
    probability.
    """

    name = "texture"

    def __init__(self, network: Runtime, size: int, views: Sequence[str] = NAMES) -> None:
        """`network` takes pictures of `size` px, and gives logits (B, views), or of several voices (B, voices, views).

        ModelError where its `views` are not those that there are.
        """
        self._network, self._size = network, size
        *voices, count = network.run(self._stacked([]))[LOGIT].shape[1:]
        if tuple(views) != NAMES or count != len(NAMES):
            raise ModelError(
                f"The texture of the model looks at {', '.join(views) or f'{count} views without a name'}, this dfd at "
                f"{', '.join(NAMES)}: fit it anew with 'dfd texture'."
            )
        self.columns = (*NAMES, *(f"{name}.{voice}" for voice in range(2, 1 + math.prod(voices)) for name in NAMES))

    def images(self, tracks: Sequence[FaceTrack]) -> UInt8Array:
        """What the network is shown of all tracks, in their order: uint8 (B, size, size, 3)."""
        return self._stacked([look for track in tracks for look in self._looks(track)])

    def features(self, tracks: Sequence[FaceTrack]) -> list[Float32Array]:
        """All looks at all tracks go through the network together."""
        own = [self._looks(track) for track in tracks]
        logits, measured = iter(self._network.run(self._stacked([look for each in own for look in each]))[LOGIT]), []
        for track, each in zip(tracks, own, strict=True):
            rows = np.full((len(track.boxes), len(self.columns)), np.nan, np.float32)
            for look, given in zip(each, logits, strict=False):
                rows[look.place, look.view :: len(NAMES)] = given[..., look.view]
            measured.append(rows)
        return measured

    def score(self, features: Float32Array) -> float | None:
        """The voices' odds, added up, as a probability; None where no frame was looked at."""
        known = [column[np.isfinite(column)].astype(np.float64) for column in features.T]
        views = [column.mean() if len(column) else np.nan for column in known]
        if np.isnan(views).all():
            return None
        voices = np.nanmean(np.reshape(views, (-1, len(NAMES))), axis=1)
        return float(1 / (1 + np.exp(-np.clip(np.logaddexp.reduce(voices), -60, 60))))

    def _looks(self, track: FaceTrack) -> list[Look]:
        return list(looks(track.crops, track.present))

    def _stacked(self, shown: Sequence[Look]) -> UInt8Array:
        images = [network_input(look.image, self._size) for look in shown]
        return np.stack(images) if images else np.zeros((0, self._size, self._size, 3), np.uint8)
