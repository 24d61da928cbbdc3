"""`dfd data film`: short videos of the portraits of a data set, as footage to learn from."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import Progress

from dfd_core.console import PlainConsole
from dfd_core.flags import count, whole
from dfd_core.settings import Settings
from trainer.data.face_pool import FacePool, pool_of
from trainer.data.layouts import SPLITS
from trainer.fakes.clips import AUTHENTIC, make_clip
from trainer.processes import processes

EXAMPLES = """examples:
  dfd data film portraits.h5 --out filmed/
  dfd data build filmed/manifest.csv --layout manifest --frames 16 --windows 1 --out filmed.h5   # then: dfd texture

Real and fake portraits go the same way: the same camera, gentle motion of the face, sensor noise and encoder for both,
drawn anew for each. A clip keeps the split and the group of its portrait. Run again after a kill, it goes on."""

MANIFEST = "manifest.csv"
COLUMNS = ("file", "label", "method", "group", "split")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("dataset", type=Path, metavar="DATASET.h5", help="of portraits, real ones and fakes")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="of videos, with manifest.csv")
    parser.add_argument("--clips", type=count, default=160, help="at most, of each class in each split (default: 160)")
    parser.add_argument("--jobs", type=count, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--seed", type=whole, default=1)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Film, and list what was filmed."""
    pool = pool_of([args.dataset])
    takes = list(takes_of(pool, args.clips, args.seed))
    args.out.mkdir(parents=True, exist_ok=True)
    with (
        processes(args.jobs, _state, pool, args.out, args.seed) as workers,
        Progress(console=PlainConsole(stderr=True), disable=not sys.stderr.isatty()) as bar,
    ):
        for _ in bar.track(workers.map(_film, takes), total=len(takes), description="clips"):
            pass
    with (args.out / MANIFEST).open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, COLUMNS)
        writer.writeheader()
        writer.writerows(take.row for take in takes)
    fakes = sum(take.row["label"] == "fake" for take in takes)
    print(f"{args.out / MANIFEST}: {len(takes) - fakes} real and {fakes} fake portraits filmed.")
    return 0


@dataclass(frozen=True, slots=True)
class Take:
    """A clip to be made of face `index`, and its row in the manifest."""

    index: int
    row: dict[str, str]


def takes_of(pool: FacePool, clips: int, seed: int) -> Iterator[Take]:
    """At most so many of each class in each split, drawn at random."""
    order = np.random.default_rng(seed).permutation(len(pool))
    for split in SPLITS:
        for label, fake in (("real", False), ("fake", True)):
            for index in order[(pool.splits[order] == split) & (pool.fake[order] == fake)][:clips].tolist():
                name, group = f"{split}-{label}-{index:05d}.mp4", "+".join(pool.groups[index])
                row = (name, label, str(pool.sources[index]), group, split)
                yield Take(index, dict(zip(COLUMNS, row, strict=True)))


_State = tuple[FacePool, Path, int]


def _state(pool: FacePool, out: Path, seed: int) -> _State:
    return pool, out, seed


def _film(state: _State, take: Take) -> None:
    pool, out, seed = state
    path = out / take.row["file"]
    if path.is_file():
        return
    partial = path.with_name(f"{path.stem}.partial.mp4")
    make_clip(pool, AUTHENTIC, take.index, partial, np.random.default_rng([seed, take.index]))
    partial.replace(path)
