"""`dfd data duplicates`: pictures that several files show, found by perceptual hashes; a leak where they are apart."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dfd_core.console import PlainConsole
from dfd_core.errors import DataError
from dfd_core.flags import whole
from dfd_core.settings import Settings
from trainer.data.dataset import Dataset
from trainer.data.hashes import BITS, SAME_PICTURE, alike
from trainer.data.layouts import SPLITS

HELP = "find pictures that are in several files, and fail where these are of different people or on different sides"
EXAMPLES = """examples:
  dfd data duplicates clips.h5                       # does a picture of one group show in another?
  dfd data duplicates clips.h5 --against test.h5     # does what trains show what is tested elsewhere?
  dfd data duplicates clips.h5 --links LIST/links.csv    # people under two names: the layout takes both for one

Ends with 1 where a picture is on two sides: in train and in validation or test, or in a data set and in --against."""

LINKS = ("group", "person")  # columns
Place = tuple[int, int]  # data set and file


@dataclass(frozen=True, slots=True)
class Twins:
    """Two files that show one picture: places are (data set, file), `bits` how many of 256 differ."""

    one: Place
    other: Place
    bits: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("dataset", type=Path, metavar="DATASET.h5")
    parser.add_argument("--against", type=Path, action="append", default=[], metavar="OTHER.h5", help="also look there")
    parser.add_argument(
        "--bits", type=whole, default=SAME_PICTURE, help="of 256 that may differ in one picture (default: 40)"
    )
    parser.add_argument(
        "--links", type=Path, metavar="LINKS.csv", help="write there which groups show one person, for the layout clips"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Name the files; 1 where one of the pictures is on two sides."""
    if not 0 <= args.bits <= BITS:
        raise DataError(f"--bits must be from 0 to {BITS}.")
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
    if args.links is not None:
        write_links(args.links, _linked(data[0], [twins for twins in found if not twins.one[0] and not twins.other[0]]))
    console.print(
        f"{len(found)} pairs of files of different groups show a picture in common, {leaks} of them on two sides."
    )
    return DataError.exit_code if leaks else 0


def find_twins(data: Sequence[Dataset], bits: int) -> list[Twins]:
    """Pairs of files of different groups that have a picture in common, the nearest first."""
    places = [(number, int(file)) for number, dataset in enumerate(data) for file in dataset.file_of]
    nearest: dict[tuple[Place, Place], int] = {}
    for row, column, distance in alike(np.concatenate([dataset.hashes for dataset in data]), bits):
        one, other = places[row], places[column]
        if one != other and not _share_a_group(data, one, other):
            nearest[one, other] = min(distance, nearest.get((one, other), distance))
    return [Twins(one, other, count) for (one, other), count in sorted(nearest.items(), key=lambda item: item[1])]


def write_links(path: Path, links: Sequence[tuple[str, str]]) -> None:
    """A row a group and the person whom it shows; DataError where that cannot be written."""
    try:
        with path.open("w", newline="", encoding="utf-8") as handle:
            csv.writer(handle).writerows([LINKS, *links])
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from None


def _linked(data: Dataset, found: Sequence[Twins]) -> list[tuple[str, str]]:
    """Groups of files that show a picture in common, each with the person: the first name of all that hang together."""
    person: dict[str, str] = {}
    for twins in found:
        groups = {*data.files[twins.one[1]].groups, *data.files[twins.other[1]].groups}
        names = {person.get(group, group) for group in groups}
        for group in groups | {group for group, name in person.items() if name in names}:
            person[group] = min(names)
    return sorted(person.items())


def _share_a_group(data: Sequence[Dataset], one: Place, other: Place) -> bool:
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
