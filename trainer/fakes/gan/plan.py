"""What decides a run of `dfd gan`, and the faces that it sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dfd_core.checks.appearance import network_input
from dfd_core.errors import DataError
from dfd_core.types import Float32Array, UInt8Array
from trainer.data.dataset import Dataset

SMOOTH = 0.9  # what the discriminator shall say of real faces (Salimans et al., 2016)
ADVERSARIAL = 0.02  # weight of fooling the discriminator, against the mean absolute error of 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What decides a run, but for the data."""

    kind: str
    decoder: str
    size: int
    steps: int
    batch: int
    rate: float
    seed: int


class Faces:
    """The faces of a data set, as networks take them: float32 (N, size, size, 3) RGB in -1..1."""

    def __init__(self, data: Dataset, size: int) -> None:
        self._data, self._size = data, size
        if not len(self.rows(False)):
            raise DataError(f"{data.path} has no real face to train on.")

    def rows(self, fake: bool, split: str = "train") -> npt.NDArray[np.intp]:
        """The windows of a class in a split."""
        return self._data.rows(split, fake)

    def some(
        self, rows: npt.NDArray[np.intp], count: int, rng: np.random.Generator, mirror: bool = False
    ) -> Float32Array:
        """One frame each of `count` windows of `rows`, drawn at random, with no window twice while there are enough."""
        if not len(rows):
            raise DataError(f"{self._data.path} has no face of the class and split that are asked for.")
        chosen = rng.choice(rows, count, replace=count > len(rows))
        faces = np.stack([self._face(int(row), rng) for row in chosen]).astype(np.float32) / 127.5 - 1
        if mirror:
            turned = rng.random(count) < 0.5
            faces[turned] = faces[turned, :, ::-1]
        return faces

    def _face(self, row: int, rng: np.random.Generator) -> UInt8Array:
        crops = self._data.crops(row)
        return network_input(crops[rng.integers(len(crops))], self._size)
