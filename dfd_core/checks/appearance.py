"""The network's look at single frames: a CNN trained on self-blended faces (Shiohara and Yamasaki, CVPR 2022)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from dfd_core.models.network import LOGIT
from dfd_core.models.runtime import LoadedModel
from dfd_core.types import FaceTrack, Float32Array, UInt8Array


class Appearance:
    """Logit of the network for every crop; a window's score is the sigmoid of the median over its present frames."""

    name = "appearance"
    columns: tuple[str, ...] = ("logit",)

    def __init__(self, model: LoadedModel) -> None:
        self._model = model

    def features(self, tracks: Sequence[FaceTrack]) -> list[Float32Array]:
        """The crops of all tracks go through the network together."""
        size = self._model.card.input.size
        images = [network_input(crop, size) for track in tracks for crop in track.crops[track.present]]
        stacked = np.stack(images) if images else np.zeros((0, size, size, 3), np.uint8)
        logits = self._model.runtime.run(stacked)[LOGIT].reshape(len(images))
        measured = []
        for track in tracks:
            rows = np.full((len(track.boxes), 1), np.nan, np.float32)
            count = int(track.present.sum())
            rows[track.present, 0], logits = logits[:count], logits[count:]
            measured.append(rows)
        return measured

    def score(self, features: Float32Array) -> float | None:
        """Median logit as a probability: a few odd frames (a blink, a hand, a cut) decide nothing."""
        logits = features[:, 0][np.isfinite(features[:, 0])].astype(np.float64)
        return float(1 / (1 + np.exp(-np.clip(np.median(logits), -60, 60)))) if len(logits) else None


def network_input(crop: UInt8Array, size: int) -> UInt8Array:
    """`crop` uint8 (S, S, 3) as the network sees it, (size, size, 3); training must resize in this way too."""
    if crop.shape[0] == size:
        return crop
    shrinks = crop.shape[0] > size
    resized = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8)
