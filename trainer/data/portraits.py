"""Training straight from a folder of real portraits: pictures listed in faces.csv, landmarks found once and kept."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from dfd_core.errors import DataError
from dfd_core.faces.finder import FaceFinder, crop, crop_side
from dfd_core.faces.mesh import FaceMesh
from dfd_core.settings import FaceSettings
from dfd_core.types import Float32Array, UInt8Array
from trainer.data.extract import read_image
from trainer.data.face_pool import TRAIN, VALIDATION, FacePool, Picture


class Portraits:
    """Picture files of one face each: `boxes` float32 (N, 4) xyxy px, `landmarks` float32 (N, 468, 2) px."""

    def __init__(self, files: Sequence[Path], boxes: Float32Array, landmarks: Float32Array) -> None:
        self.files, self.boxes, self.landmarks = files, boxes, landmarks

    def read(self, number: int, moment: float) -> Picture:
        """Portrait `number`; it does not move."""
        return Picture(read_image(self.files[number]), self.boxes[number], self.landmarks[number])

    def shape(self, number: int) -> Float32Array:
        """Its landmarks."""
        return np.asarray(self.landmarks[number], np.float32)

    def crops(self, number: int) -> UInt8Array:
        """Its serving crop."""
        settings, box = FaceSettings(), self.boxes[number]
        return crop(read_image(self.files[number]), box, crop_side(box, settings), settings.crop_cap_px)[None]

    def name(self, number: int) -> str:
        """The picture's path."""
        return str(self.files[number])


def load_portraits(
    folder: Path, cache: Path, held_out: Sequence[str], progress: Callable[[int, int], None] | None = None
) -> FacePool:
    """The faces that `folder/faces.csv` lists (columns file and source); those without a face are left out.

    Pictures of the sources `held_out` validate. Boxes and landmarks are kept in `cache` (.npz). DataError for a missing
    or empty list, and where nothing is held out or everything.
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
    sources = np.array([source_of[name] for name in names])
    validates = np.isin(sources, held_out)
    if validates.all() or not validates.any():
        raise DataError(f"The data needs faces of the held-out sources ({', '.join(held_out)}) and of others.")
    return FacePool(
        Portraits([folder / name for name in names], boxes, landmarks),
        np.arange(len(names)),
        sources,
        np.full(len(names), ""),
        sources,
        np.arange(len(names)),
        np.full(len(names), -1),
        np.zeros(len(names)),
        tuple((name,) for name in names),
        np.zeros(len(names), bool),
        np.where(validates, VALIDATION, TRAIN),
    )


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
