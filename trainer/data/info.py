"""`dfd data info`: what is in a data set, in numbers and as a picture."""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np
from rich.table import Table
from rich.text import Text

from dfd_core.checks.appearance import network_input
from dfd_core.console import PlainConsole
from dfd_core.flags import whole
from dfd_core.names import one_line
from dfd_core.settings import Settings
from dfd_core.types import UInt8Array
from trainer.data.dataset import Dataset
from trainer.data.layouts import SPLITS
from trainer.data.splits import RANDOM_FRAMES, WHY_NOT_RANDOM

EXAMPLES = """examples:
  dfd data info faces.h5
  dfd data info faces.h5 --sheet sheet.png      # real faces above, fake ones below; mind who may see them"""

_BY = (("family", "method", "compression"), ("licence", "source"))  # what files are counted by
_TILE, _COLUMNS = 96, 12  # px; faces a row of the sheet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("dataset", type=Path, metavar="DATASET.h5")
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="write a contact sheet")
    parser.add_argument("--seed", type=whole, default=1, help="of what the sheet shows")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print the facts, and write the sheet if asked to."""
    data = Dataset(args.dataset)
    console = PlainConsole()
    header = data.header
    raw = len(data) * header.frames * header.crop_px**2 * 3
    console.print(
        f"{args.dataset}: {len(data)} windows of {header.frames} frames at {header.sample_fps:g} fps, crops up to "
        f"{header.crop_px} px; layout {header.layout}, split by {header.split}; "
        f"pixels {data.bytes_stored / 1e6:.1f} MB of {raw / 1e6:.1f} MB.",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    if header.split == RANDOM_FRAMES:
        console.print(WHY_NOT_RANDOM, style="yellow", soft_wrap=True)
    console.print(_splits_table(data))
    for columns in _BY:
        table = _files_table(data, *columns)
        if table is not None:
            console.print(table)
    sides = np.percentile(data.pixels, (5, 50, 95)).round().astype(int)
    console.print(f"Sides of crops, px: {sides[0]} to {sides[2]} (5 to 95 %), median {sides[1]}.", highlight=False)
    for path, reason in data.failed:
        console.print(one_line(f"left out: {path}: {reason}"), soft_wrap=True)
    if args.sheet is not None:
        args.sheet.parent.mkdir(parents=True, exist_ok=True)
        sheet = cv2.cvtColor(contact_sheet(data, args.seed), cv2.COLOR_RGB2BGR)
        args.sheet.write_bytes(cv2.imencode(".png", sheet)[1].tobytes())
        console.print(f"{args.sheet} shows real faces above and fake ones below.")
    return 0


def contact_sheet(data: Dataset, seed: int) -> UInt8Array:
    """Uint8 (4 * 96, 12 * 96, 3) RGB: two rows of real faces, then two of fake ones, drawn over all splits."""
    sheet = np.zeros((4 * _TILE, _COLUMNS * _TILE, 3), np.uint8)
    rng = np.random.default_rng(seed)
    for fake in (False, True):
        rows = np.flatnonzero(data.labels == int(fake))
        for n, row in enumerate(rng.permutation(rows)[: 2 * _COLUMNS]):
            top, left = (2 * fake + n // _COLUMNS) * _TILE, n % _COLUMNS * _TILE
            sheet[top : top + _TILE, left : left + _TILE] = network_input(data.crops(int(row))[0], _TILE)
    return sheet


def _splits_table(data: Dataset) -> Table:
    table = Table("split", "windows", "real", "fake", "files", "groups", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for split in SPLITS:
        rows = data.rows(split)
        groups = {group for row in rows for group in data.groups(int(row))}
        counts = (len(rows), len(data.rows(split, False)), len(data.rows(split, True)))
        table.add_row(split, *map(str, (*counts, len(set(data.file_of[rows])), len(groups))))
    return table


def _files_table(data: Dataset, *columns: str) -> Table | None:
    """Files, groups and windows by split for each value of those columns of files/*; None where all are empty."""
    files: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, file in enumerate(data.files):
        files[tuple(getattr(file, column) or "-" for column in columns)].append(number)
    if set(files) <= {("-",) * len(columns)}:
        return None
    windows = Counter(zip(data.file_of.tolist(), data.splits.tolist(), strict=True))
    table = Table(*columns, "files", "groups", *SPLITS, box=None)
    for column in table.columns[len(columns) :]:
        column.justify = "right"
    for key, numbers in sorted(files.items()):
        groups = {group for number in numbers for group in data.files[number].groups}
        by_split = [sum(windows[number, split] for number in numbers) for split in range(len(SPLITS))]
        table.add_row(*map(Text, key), *map(str, (len(numbers), len(groups), *by_split)))
    return table
