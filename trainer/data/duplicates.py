"""`dfd data duplicates`: pictures that several files show, found by perceptual hashes; a leak where they are apart.

The hash is the 256 bits of a DCT (pHash: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions",
2010), by the library imagehash: another size, codec or quality changes few of them, another picture about half.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

from dfd_core.console import PlainConsole
from dfd_core.errors import DataError
from dfd_core.settings import Settings
from trainer.data.dataset import Dataset
from trainer.data.layouts import SPLITS

HELP = "find pictures that are in several files, and fail where these are of different people or on different sides"
EXAMPLES = """examples:
  dfd data duplicates clips.h5                       # does a picture of one group show in another?
  dfd data duplicates clips.h5 --against test.h5     # does what trains show what is tested elsewhere?

Ends with 1 where a picture is on two sides: in train and in validation or test, or in a data set and in --against."""

_SIDE = 16  # bits a row of the hash
_FRAMES = 3  # of a window of several, that are compared
_CHUNK = 512  # hashes that are compared with all others at once


@dataclass(frozen=True, slots=True)
class Twins:
    """Two files that show one picture: places are (data set, file), `bits` how many of 256 differ."""

    one: tuple[int, int]
    other: tuple[int, int]
    bits: int


@dataclass(frozen=True, slots=True, eq=False)
class Hashes:
    """H pictures: bits bool (H, 256), and of each its data set and file, int64 (H, 2)."""

    bits: npt.NDArray[np.bool_]
    places: npt.NDArray[np.int64]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("dataset", type=Path, metavar="DATASET.h5")
    parser.add_argument("--against", type=Path, action="append", default=[], metavar="OTHER.h5", help="also look there")
    parser.add_argument("--bits", type=int, default=40, help="of 256 that may differ in one picture (default: 40)")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Name the files; 1 where one of the pictures is on two sides."""
    if not 0 <= args.bits <= _SIDE**2:
        raise DataError(f"--bits must be from 0 to {_SIDE**2}.")
    data = [Dataset(path) for path in (args.dataset, *args.against)]
    console, leaks, found = PlainConsole(), 0, find_twins(data, args.bits)
    sides = [_sides(dataset) for dataset in data]
    for twins in found:
        apart = (
            twins.one[0] != twins.other[0]
            or len(sides[twins.one[0]][twins.one[1]] | sides[twins.other[0]][twins.other[1]]) > 1
        )
        leaks += apart
        names = [
            f"{data[d].path.name}: {data[d].files[f].path} ({'+'.join(data[d].files[f].groups)})"
            for d, f in (twins.one, twins.other)
        ]
        console.print(
            f"{'on two sides' if apart else 'two groups'}, {twins.bits} bits apart: {names[0]} and {names[1]}"
        )
    console.print(
        f"{len(found)} pairs of files of different groups show a picture in common, {leaks} of them on two sides."
    )
    return DataError.exit_code if leaks else 0


def find_twins(data: Sequence[Dataset], bits: int) -> list[Twins]:
    """Pairs of files of different groups that have a picture in common, the nearest first."""
    hashes = [_hashes(dataset, number) for number, dataset in enumerate(data)]
    all_bits = np.concatenate([h.bits for h in hashes]).astype(np.float32) * 2 - 1
    places = np.concatenate([h.places for h in hashes])
    nearest: dict[tuple[tuple[int, int], tuple[int, int]], int] = {}
    for start in range(0, len(all_bits), _CHUNK):
        apart = (_SIDE**2 - all_bits[start : start + _CHUNK] @ all_bits.T) / 2
        for row, column in np.argwhere(apart <= bits):
            one, other = (tuple(map(int, places[n])) for n in (start + row, column))
            if one < other and not _share_a_group(data, one, other):
                key, distance = (one, other), int(apart[row, column])
                nearest[key] = min(distance, nearest.get(key, distance))
    return [Twins(one, other, count) for (one, other), count in sorted(nearest.items(), key=lambda item: item[1])]


def _hashes(data: Dataset, number: int) -> Hashes:
    hashed = list(_of_windows(data))
    bits = np.array([bits for _, bits in hashed], bool).reshape(len(hashed), _SIDE**2)
    return Hashes(bits, np.array([(number, file) for file, _ in hashed], np.int64).reshape(len(hashed), 2))


def _of_windows(data: Dataset) -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
    for row, file in enumerate(data.file_of):
        crops = data.crops(row)
        for frame in np.unique(np.linspace(0, len(crops) - 1, min(_FRAMES, len(crops))).astype(int)):
            yield int(file), imagehash.phash(Image.fromarray(crops[frame]), hash_size=_SIDE).hash.ravel()


def _share_a_group(data: Sequence[Dataset], one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Within a data set; names of groups in another one mean somebody else."""
    return one[0] == other[0] and not set(data[one[0]].files[one[1]].groups).isdisjoint(
        data[other[0]].files[other[1]].groups
    )


def _sides(data: Dataset) -> dict[int, set[str]]:
    """The splits of each file."""
    sides: dict[int, set[str]] = {}
    for file, split in zip(data.file_of.tolist(), data.splits.tolist(), strict=True):
        sides.setdefault(file, set()).add("train" if SPLITS[split] == "train" else "held out")
    return sides
