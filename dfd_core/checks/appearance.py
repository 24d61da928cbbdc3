"""The network's look at single frames: a CNN trained on self-blended faces (Shiohara and Yamasaki, CVPR 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from dfd_core.models.network import LOGIT
from dfd_core.models.runtime import LoadedModel
from dfd_core.types import FaceTrack, Float32Array, UInt8Array

STRIDE = 2  # one in so many frames is looked at: neighbours look alike


class Appearance:
    """Logit of the network for every second crop; a window's score is the sigmoid of the median over these."""

    name = "appearance"
    columns: tuple[str, ...] = ("logit",)

    def __init__(self, model: LoadedModel) -> None:
        self._model = model

    def features(self, tracks: Sequence[FaceTrack]) -> list[Float32Array]:
        """The crops of all tracks go through the network together; the next ones are resized while it runs."""
        rows = [np.flatnonzero(track.present)[::STRIDE] for track in tracks]
        crops = [track.crops[row] for track, own in zip(tracks, rows, strict=True) for row in own]
        logits, measured = self._logits(crops), []
        for track, own in zip(tracks, rows, strict=True):
            values = np.full((len(track.boxes), 1), np.nan, np.float32)
            values[own, 0], logits = logits[: len(own)], logits[len(own) :]
            measured.append(values)
        return measured

    def _logits(self, crops: Sequence[UInt8Array]) -> Float32Array:
        size, runtime, once = self._model.card.input.size, self._model.runtime, self._model.runtime.batch
        parts = [crops[first : first + once] for first in range(0, len(crops), once)]
        with ThreadPoolExecutor(1, "resize") as ahead:
            inputs = ahead.map(lambda part: np.stack([network_input(crop, size) for crop in part]), parts)
            logits = [runtime.run(images)[LOGIT].reshape(-1) for images in inputs]
        return np.concatenate([np.zeros(0, np.float32), *logits])

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
