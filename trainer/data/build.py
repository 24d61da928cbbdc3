"""`dfd data build`: a collection of videos and pictures becomes one HDF5 file of face windows."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from pathlib import Path

import numpy as np
from rich.console import Console

from dfd_core.console import PlainConsole
from dfd_core.errors import DataError
from dfd_core.flags import whole
from dfd_core.names import one_line
from dfd_core.settings import Settings
from trainer.data import splits
from trainer.data.dataset import DatasetWriter, FileRow, Header
from trainer.data.extract import Extraction
from trainer.data.layouts import CLASSES, SPLITS, LabelledFile, layout_named, layout_names, limited
from trainer.data.parts import Parts
from trainer.data.splits import KINDS, OFFICIAL, RANDOM_FRAMES, Shares, split_files

EXAMPLES = """examples:
  dfd data build videos/ --layout folders --out faces.h5             # videos/Real/ and videos/Fake/
  dfd data build FaceForensics/ --layout faceforensics --out ff.h5 --jobs 8
  dfd data build list.csv --layout manifest --out mine.h5 --frames 1
  dfd data build clips/ --layout clips --frames 1 --windows 10 --out clips.h5
  dfd data build faces/ --layout portraits --real-only --frames 1 --windows 1 --out real.h5   # then: dfd data fakes
  dfd data build videos/ --layout folders --limit 100 --frames 1 --split random-frames --out original.h5

A build that was killed goes on where it stopped when the same command is run again. A file that fails is named at the
end with its reason, and in the data set. Splits are made by identity; --split random-frames only shows why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument(
        "source", type=Path, metavar="SOURCE", help="folder of the collection, or the CSV of a manifest"
    )
    parser.add_argument("--layout", required=True, choices=layout_names(), help="how the collection is laid out")
    parser.add_argument("--out", type=Path, required=True, metavar="DATASET.h5")
    parser.add_argument("--real-only", action="store_true", help="leave fakes out, to make some with 'dfd data fakes'")
    parser.add_argument("--limit", type=int, help="files of each class (default: all)")
    parser.add_argument("--frames", type=int, default=16, help="a window (default: 16); 1 for single frames")
    parser.add_argument("--windows", type=int, default=8, help="at most, of each file (default: 8)")
    parser.add_argument("--all-faces", action="store_true", help="not only the widest face of each window")
    parser.add_argument("--split", choices=KINDS, help="default: official where the collection has one, else group")
    parser.add_argument("--validation", type=float, default=0.15, help="share of the files (default: 0.15)")
    parser.add_argument(
        "--validation-fakes", type=float, help="share of the groups that hold fakes only (default: --validation)"
    )
    parser.add_argument("--test", type=float, default=0.15, help="share of the files (default: 0.15)")
    parser.add_argument("--compression", choices=("lzf", "gzip", "blosc2", "none"), default="lzf")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--seed", type=whole, default=1, help="of the split")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Build the data set; 0 if it holds windows of each class in each split."""
    if min(args.frames, args.windows, args.jobs) < 1 or (args.limit is not None and args.limit < 1):
        raise DataError("--frames, --windows, --jobs and --limit must be at least 1.")
    console = PlainConsole(stderr=True)
    files = limited(layout_named(args.layout).files(args.source), args.limit, _classes(args))
    kind = args.split or (OFFICIAL if any(f.split for f in files) else splits.GROUP)
    files, left_out = _split(files, kind, args, console)
    plan = Extraction(args.frames, args.windows, args.all_faces)
    parts = Parts(args.out, settings, plan)
    failed = [(str(f.path), "its people are on both sides of the split") for f in left_out]
    failed += parts.cut(files, args.jobs, console)
    header = Header(settings.faces.crop_cap_px, args.frames, settings.video.sample_fps, args.layout, kind)
    counts = _assemble(args, header, files, parts, failed)
    parts.remove()
    _report(counts, failed, args.out, console)
    return 0


def _classes(args: argparse.Namespace) -> tuple[bool, ...]:
    return (False,) if args.real_only else CLASSES


def _split(
    files: list[LabelledFile], kind: str, args: argparse.Namespace, console: Console
) -> tuple[list[LabelledFile], list[LabelledFile]]:
    shares = Shares(args.validation, args.test, args.validation_fakes)
    if kind != RANDOM_FRAMES:
        return split_files(files, shares, args.seed, kind == OFFICIAL, _classes(args))
    console.print(splits.WHY_NOT_RANDOM, style="yellow", soft_wrap=True)
    return files, []


def _assemble(
    args: argparse.Namespace, header: Header, files: list[LabelledFile], parts: Parts, failed: list[tuple[str, str]]
) -> Counter[tuple[str, bool]]:
    """Write the data set from the parts; windows by split and class."""
    rng = np.random.default_rng(args.seed)
    wanted = Shares(args.validation, args.test, args.validation_fakes).wanted()
    counts: Counter[tuple[str, bool]] = Counter()
    root = args.source if args.source.is_dir() else args.source.parent
    with DatasetWriter(args.out, header, args.compression) as writer:
        for file in files:
            windows = parts.windows(file)
            if not windows:
                continue  # it is among the failed ones
            row = writer.add_file(_row_of(file, root))
            for window in windows:
                split = file.split or str(rng.choice(list(wanted), p=list(wanted.values())))
                writer.add(window, row, file.fake, split)
                counts[split, file.fake] += 1
        if not all(counts[split, fake] for split in wanted for fake in _classes(args)):
            names = "; ".join(f"{path}: {reason}" for path, reason in failed[:3])
            raise DataError(f"A split has no window of a class left, {len(failed)} files gave none ({names}).")
        writer.close(failed)
    return counts


def _row_of(file: LabelledFile, root: Path) -> FileRow:
    """What the data set says of a file; names are relative to `root` where they lie below it."""
    return FileRow(
        path=_name(file.path, root),
        groups=file.identities,
        method=file.method,
        compression=file.compression,
        family=file.family,
        source=file.source,
        pair=_name(file.pair, root) if file.pair else "",
        licence=file.licence,
    )


def _name(path: Path, root: Path) -> str:
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def _report(counts: Counter[tuple[str, bool]], failed: list[tuple[str, str]], out: Path, console: Console) -> None:
    for path, reason in failed:
        console.print(one_line(f"left out: {path}: {reason}"), soft_wrap=True)
    each = ", ".join(f"{split} {counts[split, False]} real and {counts[split, True]} fake" for split in SPLITS)
    print(f"{out}: {sum(counts.values())} windows ({each}); {len(failed)} files left out.")
