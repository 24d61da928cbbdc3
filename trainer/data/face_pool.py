"""Faces to train on, whatever holds them: a folder of pictures with a list, or data sets of `dfd data build`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dfd_core.errors import DataError
from dfd_core.types import Float32Array, Float64Array, UInt8Array
from trainer.data.dataset import Dataset
from trainer.data.layouts import SPLITS
from trainer.data.splits import RANDOM_FRAMES, check_disjoint

GENERATED, RESTORED = "generated", "restored"  # how the method of a fake begins that dfd made
REAL = "real"  # all other fakes of data sets
TRAIN, VALIDATION = SPLITS[:2]
_PAIRED = 0.7  # how often a fake is set against the real one that it was made from, where that is known
_SAME_PAGE = 0.6  # how often else against one that was found where it was: encoded alike, lit alike
_COMPARED = 12  # real faces, of which the one as light as a generated one is set against it
_SAME_FACE = 1e-5  # of its size: landmarks that are nearer than this are the same picture's


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A face: image uint8 (H, W, 3) RGB, box float32 (4,) xyxy px, landmarks float32 (468, 2) px, NaN if unknown."""

    image: UInt8Array
    box: Float32Array
    landmarks: Float32Array


class Pictures(Protocol):
    """Where pictures come from; sent to the processes that make samples."""

    def read(self, number: int, moment: float) -> Picture:
        """Picture `number`; where it moves, that of `moment`, from 0 for its first to 1 for its last."""
        ...

    def shape(self, number: int) -> Float32Array:
        """Landmarks float32 (468, 2) px of picture `number`, NaN if unknown, without reading its pixels."""
        ...

    def crops(self, number: int) -> UInt8Array:
        """All moments of picture `number` as serving would cut them, uint8 (P, S, S, 3) RGB."""
        ...

    def name(self, number: int) -> str:
        """The file that it is of."""
        ...


@dataclass(frozen=True)
class FacePool:
    """N faces of `pictures`, each with its method or collection, page, groups (identities), class and split."""

    pictures: Pictures
    numbers: npt.NDArray[np.intp]
    sources: npt.NDArray[np.str_]  # of a fake its method, of a real face its collection
    families: npt.NDArray[np.str_]  # of methods: swap, talking-head, ..., and real; empty where unknown
    pages: npt.NDArray[np.str_]  # where it was found; its source where nothing else is known
    files: npt.NDArray[np.intp]  # faces of one file share a number
    pairs: npt.NDArray[np.intp]  # the file of the real one that a fake was made from; -1: unknown
    times_s: npt.NDArray[np.float64]  # media seconds in that file
    groups: tuple[tuple[str, ...], ...]
    fake: npt.NDArray[np.bool_]
    splits: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, index: int, moment: float) -> Picture:
        """Face `index`; see `Pictures`."""
        return self.pictures.read(int(self.numbers[index]), moment)

    def only(self, chosen: npt.NDArray[np.bool_]) -> FacePool:
        """The faces where `chosen` (N,) is true."""
        at = np.flatnonzero(chosen)
        names = ("numbers", "sources", "families", "pages", "files", "pairs", "times_s", "fake", "splits")
        arrays = {name: getattr(self, name)[at] for name in names}
        return replace(self, groups=tuple(self.groups[n] for n in at), **arrays)

    @cached_property
    def reals(self) -> npt.NDArray[np.intp]:
        """Indices of the real faces."""
        return np.flatnonzero(~self.fake)

    @cached_property
    def fakes(self) -> dict[str, npt.NDArray[np.intp]]:
        """Indices of the fakes, by kind as in a recipe's mixture: generated, restored and real (of a data set)."""
        made = {kind: self.fake & np.char.startswith(self.sources, kind) for kind in (GENERATED, RESTORED)}
        others = self.fake & ~np.logical_or.reduce(list(made.values()))
        return {kind: np.flatnonzero(where) for kind, where in {**made, REAL: others}.items()}

    def draw_fake(self, kind: str, rng: np.random.Generator) -> int:
        """A fake of `kind`: methods are drawn evenly, then files of a method, then faces of a file."""
        methods = self._files_of_method[kind]
        files = methods[int(rng.integers(len(methods)))]
        faces = files[int(rng.integers(len(files)))]
        return int(faces[int(rng.integers(len(faces)))])

    def partner(self, fake: int, rng: np.random.Generator) -> int:
        """A real face to set against a fake.

        The one that it was made of, if it lies in the same file. Else, mostly, the one of the same moment of the file
        that it was made from; or one of its page; or, where pages are unknown, of its people; or one as light:
        generated portraits may show other complexions than the real ones do, and that must tell nothing.
        """
        same_file = [n for n in self._reals_of_file.get(int(self.files[fake]), ()) if n < fake]
        if same_file:
            return same_file[-1]
        pair = self._reals_of_file.get(int(self.pairs[fake]), [])
        if pair and rng.random() < _PAIRED:
            return min(pair, key=lambda real: abs(float(self.times_s[real] - self.times_s[fake])))
        page = self._real_files_of_page.get(str(self.pages[fake]), [])
        if page and rng.random() < _SAME_PAGE:
            return int(rng.choice(page[int(rng.integers(len(page)))]))
        people = [n for group in self.groups[fake] for n in self._reals_of_group.get(group, ())]
        if people and not page:
            return int(rng.choice(people))
        drawn = rng.choice(self.reals, min(_COMPARED, len(self.reals)), replace=False, p=self.chances)
        return int(min(drawn, key=lambda real: abs(self._lightness(int(real)) - self._lightness(fake))))

    @cached_property
    def chances(self) -> Float64Array:
        """Of each real face to be drawn, float64 (R,): pages by the root of their files, evenly within these.

        So a large collection counts for more than a small one, and drowns none.
        """
        pages, files = self.pages[self.reals], self.files[self.reals]
        _, page_of = np.unique(pages, return_inverse=True)
        _, file_of, faces = np.unique(files, return_inverse=True, return_counts=True)
        files_of_page = np.bincount(page_of[np.unique(file_of, return_index=True)[1]])
        chances = 1 / (faces[file_of] * np.sqrt(files_of_page[page_of]))
        return np.asarray(chances / chances.sum(), np.float64)

    @cached_property
    def _files_of_method(self) -> dict[str, list[list[list[int]]]]:
        """Of each kind its methods, of each of these its files, of each of these its faces."""
        found = {}
        for kind, rows in self.fakes.items():
            methods = _grouped((str(self.sources[n]), int(n)) for n in rows)
            found[kind] = [list(_grouped((int(self.files[n]), n) for n in own).values()) for own in methods.values()]
        return found

    @cached_property
    def _real_files_of_page(self) -> dict[str, list[list[int]]]:
        pages = _grouped((str(self.pages[n]), int(n)) for n in self.reals)
        return {page: list(_grouped((int(self.files[n]), n) for n in own).values()) for page, own in pages.items()}

    def _lightness(self, index: int) -> float:
        """Mean grey level of the inner half of a face's box, 0 to 255."""
        if index not in self._lightnesses:
            picture = self.read(index, 0.0)
            centre, half = (picture.box[:2] + picture.box[2:]) / 2, (picture.box[2:] - picture.box[:2]) / 4
            (left, top), (right, bottom) = np.maximum(centre - half, 0).astype(int), (centre + half).astype(int) + 1
            self._lightnesses[index] = float(picture.image[top:bottom, left:right].mean())
        return self._lightnesses[index]

    @cached_property
    def _lightnesses(self) -> dict[int, float]:
        return {}

    def is_made_of(self, fake: int, real: int) -> bool:
        """Whether both are pictures of one file, so that they agree pixel by pixel but for the manipulation."""
        return bool(self.files[fake] == self.files[real])

    def alike(self, index: int, rng: np.random.Generator, among: int = 64) -> int:
        """Another real face that looks the same way: of `among` random ones that whose landmarks are nearest.

        DataError where no other face has landmarks.
        """
        shapes = self._shapes
        own = shapes[int(np.searchsorted(self.reals, index))]
        drawn = rng.choice(len(self.reals), min(among, len(self.reals)), replace=False)
        distances = np.abs(shapes[drawn] - own).mean(axis=1)
        distances[distances < _SAME_FACE] = np.nan
        if np.isnan(distances).all():
            raise DataError("The data has hardly a face with landmarks: faces must be larger to be swapped.")
        return int(self.reals[drawn[np.nanargmin(distances)]])

    @cached_property
    def _shapes(self) -> Float32Array:
        """Landmarks of the real faces without place and size, float32 (R, L); NaN where unknown."""
        points = np.stack([self.pictures.shape(int(self.numbers[n]))[::8] for n in self.reals])
        spread = np.ptp(points, axis=1).max(axis=1)[:, None, None]
        normal = (points - points.mean(axis=1, keepdims=True)) / spread
        return np.asarray(normal.reshape(len(points), -1), np.float32)

    @cached_property
    def _reals_of_file(self) -> dict[int, list[int]]:
        return _grouped((int(self.files[n]), int(n)) for n in self.reals)

    @cached_property
    def _reals_of_group(self) -> dict[str, list[int]]:
        return _grouped((group, int(n)) for n in self.reals for group in self.groups[n])


def _grouped(pairs: Any) -> dict[Any, list[int]]:
    groups: dict[Any, list[int]] = defaultdict(list)
    for key, n in pairs:
        groups[key].append(n)
    return dict(groups)


class Windows:
    """The windows of data sets, one after another."""

    def __init__(self, datasets: Sequence[Dataset]) -> None:
        self._datasets = datasets
        self._starts = np.cumsum([0, *(len(d) for d in datasets)])

    def read(self, number: int, moment: float) -> Picture:
        """One of the frames of window `number` in which the face was seen."""
        dataset, row = self._row(number)
        frame = min(int(moment * dataset.present[row].sum()), int(dataset.present[row].sum()) - 1)
        return Picture(dataset.crops(row)[frame], dataset.boxes(row)[frame], dataset.mesh(row)[frame])

    def shape(self, number: int) -> Float32Array:
        """Of the first of those frames."""
        dataset, row = self._row(number)
        return np.asarray(dataset.mesh(row)[0], np.float32)

    def crops(self, number: int) -> UInt8Array:
        """Those frames."""
        dataset, row = self._row(number)
        return dataset.crops(row)

    def name(self, number: int) -> str:
        """The file's path as the data set has it."""
        dataset, row = self._row(number)
        return str(dataset.files[dataset.file_of[row]].path)

    def _row(self, number: int) -> tuple[Dataset, int]:
        at = int(np.searchsorted(self._starts, number, side="right")) - 1
        return self._datasets[at], number - int(self._starts[at])


def pool_of(paths: Sequence[Path]) -> FacePool:
    """The faces of data sets, train and validation; DataError where a person is on both sides across them."""
    datasets = [Dataset(path) for path in paths]
    rows = [(d, n) for d in datasets for n in range(len(d))]
    entries = [d.files[d.file_of[n]] for d, n in rows]
    files = [(id(d), entry.path) for (d, _), entry in zip(rows, entries, strict=True)]
    number_of = {file: number for number, file in enumerate(dict.fromkeys(files))}
    pairs = [number_of.get((id(d), entry.pair), -1) for (d, _), entry in zip(rows, entries, strict=True)]
    groups = tuple(tuple(d.groups(n)) for d, n in rows)
    splits = np.array([SPLITS[d.splits[n]] for d, n in rows], dtype=np.str_)
    if not any(d.header.split == RANDOM_FRAMES for d in datasets):
        check_disjoint(zip(splits, groups, strict=True))
    pool = FacePool(
        Windows(datasets),
        np.arange(len(rows)),
        np.array([entry.method for entry in entries], dtype=np.str_),
        np.array([entry.family for entry in entries], dtype=np.str_),
        np.array([entry.source or entry.method for entry in entries], dtype=np.str_),
        np.array([number_of[file] for file in files], dtype=np.intp),
        np.array(pairs, dtype=np.intp),
        np.concatenate([d.starts_s for d in datasets]),
        groups,
        np.array([d.labels[n] == 1 for d, n in rows], dtype=bool),
        splits,
    )
    for split in (TRAIN, VALIDATION):
        if not (~pool.fake & (splits == split)).any():
            raise DataError(f"The data has no real face to {split} with: build it with other shares or more people.")
    return pool
