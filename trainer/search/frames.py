"""Pictures of a data set in memory, as a search needs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dfd_core.checks.appearance import network_input
from dfd_core.errors import DataError
from dfd_core.types import Float32Array, UInt8Array
from trainer.data.dataset import Dataset


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Pictures uint8 (N, S, S, 3) RGB and their labels float32 (N,), 1 = fake."""

    images: UInt8Array
    labels: Float32Array

    def __len__(self) -> int:
        return len(self.labels)

    def class_weights(self) -> dict[int, float]:
        """Factors of the loss with which both classes count alike."""
        fakes = float(self.labels.mean())
        return {0: 0.5 / (1 - fakes), 1: 0.5 / fakes}


def rows_of(data: Dataset, split: str, limit: int = 0, seed: int = 1) -> npt.NDArray[np.intp]:
    """Windows of a split in which a face was seen, of each class at most `limit` (0: all); DataError without a class.

    What is left of more is drawn at random by `seed`.
    """
    chosen = []
    for fake, name in ((False, "real"), (True, "fake")):
        rows = data.rows(split, fake)
        rows = rows[data.present[rows].any(axis=1)]
        if not len(rows):
            raise DataError(
                f"{data.path} has no {name} face in its {split} part, and a search needs both classes in train and "
                "validation: build it again with more groups, or with other shares."
            )
        rng = np.random.default_rng([seed, int(fake)])
        chosen.append(rng.choice(rows, limit, replace=False) if 0 < limit < len(rows) else rows)
    return np.sort(np.concatenate(chosen))


def load_frames(
    data: Dataset, rows: npt.NDArray[np.intp], size: int, every: bool, step: Callable[[], object]
) -> Frames:
    """The middle frame of each window, or `every` one with the face in it; `step` is called after each window."""
    images, labels = [], []
    for row in rows:
        crops = data.crops(int(row))
        for crop in crops if every else crops[len(crops) // 2 :][:1]:
            images.append(network_input(crop, size))
            labels.append(data.labels[row])
        step()
    return Frames(np.stack(images), np.array(labels, np.float32))
