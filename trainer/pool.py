"""The real faces to train on: pictures in a folder, listed in a CSV, with landmarks found once and kept."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from dfd_core.errors import DataError
from dfd_core.facemesh import FaceMesh
from dfd_core.faces import FaceFinder
from dfd_core.settings import FaceSettings
from dfd_core.types import Float32Array, UInt8Array


@dataclass(frozen=True, slots=True, eq=False)
class FacePool:
    """N pictures of one face each: `boxes` float32 (N, 4) xyxy px, `landmarks` float32 (N, 468, 2) px."""

    files: tuple[Path, ...]
    sources: tuple[str, ...]
    boxes: Float32Array
    landmarks: Float32Array

    def __len__(self) -> int:
        return len(self.files)

    def image(self, index: int) -> UInt8Array:
        """Picture `index`, uint8 (H, W, 3) RGB."""
        return read_image(self.files[index])

    def select(self, keep: Callable[[str], bool]) -> FacePool:
        """The pictures whose source `keep` accepts."""
        chosen = [n for n, source in enumerate(self.sources) if keep(source)]
        return FacePool(
            tuple(self.files[n] for n in chosen),
            tuple(self.sources[n] for n in chosen),
            self.boxes[chosen],
            self.landmarks[chosen],
        )


def load_pool(folder: Path, cache: Path, progress: Callable[[int, int], None] | None = None) -> FacePool:
    """The faces that `folder/faces.csv` lists (columns file and source); those without a face are left out.

    Boxes and landmarks are kept in `cache` (.npz). DataError for a missing or empty list.
    """
    listing = folder / "faces.csv"
    try:
        with listing.open(newline="", encoding="utf-8") as handle:
            rows = [(row["file"], row["source"]) for row in csv.DictReader(handle)]
    except FileNotFoundError:
        raise DataError(f"{folder} has no faces.csv; it must list pictures in columns file and source.") from None
    except KeyError as error:
        raise DataError(f"{listing} has no column {error}.") from None
    if not cache.is_file():
        _measure(folder, rows, cache, progress)
    with np.load(cache) as stored:
        names, boxes, landmarks = stored["files"].tolist(), stored["boxes"], stored["landmarks"]
    source_of = dict(rows)
    if not names or any(name not in source_of for name in names):
        raise DataError(f"{listing} lists no usable face, or other files than {cache.name}: delete {cache} and retry.")
    return FacePool(tuple(folder / n for n in names), tuple(source_of[n] for n in names), boxes, landmarks)


def read_image(path: Path) -> UInt8Array:
    """A picture file as uint8 (H, W, 3) RGB; DataError when it cannot be read."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f"{path} is not a picture that OpenCV can read.")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _measure(
    folder: Path, rows: list[tuple[str, str]], cache: Path, progress: Callable[[int, int], None] | None
) -> None:
    finder, mesh = FaceFinder(FaceSettings()), FaceMesh()
    files, boxes, landmarks = [], [], []
    for number, (name, _) in enumerate(rows):
        image = read_image(folder / name)
        for face in finder.find(image)[:1]:
            points = mesh.landmarks(image, face)
            if points is not None:
                files.append(name)
                boxes.append(face.box)
                landmarks.append(points)
        if progress is not None:
            progress(number + 1, len(rows))
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        cache, files=np.array(files), boxes=np.array(boxes, np.float32), landmarks=np.array(landmarks, np.float32)
    )
