"""`dfd data fakes`: of every real window of a data set one fake, so that a data set of pairs comes out."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dfd_core.console import PlainConsole
from dfd_core.errors import DataError
from dfd_core.faces.blending import blend_with, draw_alteration
from dfd_core.flags import whole
from dfd_core.names import one_line
from dfd_core.settings import Settings
from trainer.data.dataset import Dataset, DatasetWriter, FaceWindow
from trainer.data.layouts import SPLITS
from trainer.fakes.degrade import Degradation, degrade
from trainer.fakes.restoration import draw_restoration, require_networks, restore
from trainer.processes import processes

EXAMPLES = """examples:
  dfd data fakes real.h5 --out blended.h5                                # self-blended: needs landmarks only
  dfd data fakes real.h5 --out blended.h5 --degrade                      # both of a pair as after a camera and a codec
  dfd data fakes real.h5 --out generated.h5 --generator runs/gan         # re-synthesised by a generator of dfd gan
  dfd data fakes real.h5 --out restored.h5 --kind restored               # enlarged from a small copy by Real-ESRGAN

The fake follows the real window that it was made of, with its group and its split; fakes of the source are left out.
With --generator the real faces are resized to the generator's size too, so that only its traces tell both apart."""

SELF_BLENDED, GENERATED, RESTORED = "self-blended", "generated", "restored"
NO_MESH = "no frame of it has landmarks"
_TRIES = 4  # alterations drawn until one is seen
_BATCH = 32  # windows in the making; frames that a generator sees at once
Pair = tuple[FaceWindow, FaceWindow]
Maker = Callable[[Sequence[int]], Iterable[Pair | None]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("dataset", type=Path, metavar="DATASET.h5", help="its real windows count")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT.h5")
    parser.add_argument(
        "--kind", choices=(SELF_BLENDED, GENERATED, RESTORED), help="default: generated with --generator"
    )
    parser.add_argument("--generator", type=Path, metavar="RUN", help="run folder of 'dfd gan' (not of --kind mlp)")
    parser.add_argument("--degrade", action="store_true", help="send both of a pair through the same noise and codec")
    parser.add_argument("--compression", choices=("lzf", "gzip", "blosc2", "none"), default="lzf")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--seed", type=whole, default=1)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Write the pairs; 0 if there are any."""
    if args.kind is not None and (args.kind == GENERATED) != (args.generator is not None):
        raise DataError("--kind generated and --generator RUN belong together: give both, or neither.")
    if args.kind == RESTORED:
        require_networks()
    if args.jobs < 1:
        raise DataError("--jobs must be at least 1.")
    data = Dataset(args.dataset)
    rows = np.flatnonzero(data.labels == 0)
    if not len(rows):
        raise DataError(f"{args.dataset} has no real window to make a fake of: build one with 'dfd data build'.")
    if args.out.resolve() == args.dataset.resolve():
        raise DataError("--out is the data set that is read: choose another file.")
    plan, header = Degradation() if args.degrade else None, data.header
    with ExitStack() as stack:
        make: Maker
        if args.generator is None:
            maker, method = (restored, RESTORED) if args.kind == RESTORED else (blended, SELF_BLENDED)
            pool = stack.enter_context(processes(args.jobs, _Making, data, args.seed, plan, maker))
            make = partial(pool.map, _Making.pair)
        else:
            generator = Generator(args.generator)
            header = replace(header, crop_px=generator.size)
            make, method = partial(generator.pairs, data, args.seed, plan), f"{GENERATED}-{generator.decoder}"
        writer = stack.enter_context(DatasetWriter(args.out, header, args.compression))
        counts, failed = _write(writer, data, _in_turn(make, rows.tolist()), method)
    _report(counts, failed, args.out)
    return 0


def _in_turn(make: Maker, rows: Sequence[int]) -> Iterator[tuple[int, Pair | None]]:
    """Each row with its pair, a batch of windows at a time, so that no more than that waits in memory."""
    columns = (TextColumn("making fakes"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=PlainConsole(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=len(rows))
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            for row, pair in zip(batch, make(batch), strict=True):
                yield row, pair
                bar.advance(task)


def _write(
    writer: DatasetWriter, data: Dataset, pairs: Iterable[tuple[int, Pair | None]], method: str
) -> tuple[Counter[str], list[tuple[str, str]]]:
    """Pairs by split, and what gave none; a file of the source becomes two, one of its reals and one of their fakes."""
    counts: Counter[str] = Counter()
    failed: list[tuple[str, str]] = []
    files: dict[int, tuple[int, int]] = {}
    for row, pair in pairs:
        source, split = int(data.file_of[row]), SPLITS[data.splits[row]]
        file = data.files[source]
        if pair is None:
            failed.append((file.path, f"window {row}: {NO_MESH}"))
            continue
        if source not in files:
            files[source] = writer.add_file(file), writer.add_file(replace(file, method=method))
        for fake, window in enumerate(pair):
            writer.add(window, files[source][fake], bool(fake), split)
        counts[split] += 1
    if not counts:
        raise DataError(f"No real window of {data.path} has landmarks, which blending needs: add larger faces.")
    writer.close([*data.failed, *failed])
    return counts, failed


def _report(counts: Counter[str], failed: list[tuple[str, str]], out: Path) -> None:
    console = PlainConsole(stderr=True)
    for path, reason in failed:
        console.print(one_line(f"left out: {path}: {reason}"), soft_wrap=True)
    each = ", ".join(f"{split} {counts[split]}" for split in SPLITS)
    print(f"{out}: {sum(counts.values())} pairs of a real and a fake window ({each}); {len(failed)} left out.")


_OfWindow = Callable[[FaceWindow, np.random.Generator], Pair | None]


@dataclass(frozen=True, slots=True)
class _Making:
    """What a process needs to make fakes of windows."""

    data: Dataset
    seed: int
    plan: Degradation | None
    maker: _OfWindow

    def pair(self, row: int) -> Pair | None:
        rng = np.random.default_rng([self.seed, row])
        pair = self.maker(self.data.window(row), rng)
        return pair if pair is None or self.plan is None else degraded(pair, self.plan, rng)


def restored(window: FaceWindow, rng: np.random.Generator) -> Pair:
    """The window, and the same made anew by a restoration network, all its frames by one and from one size."""
    seen, plan, crops = window.present.astype(bool), draw_restoration(rng), window.crops.copy()
    for frame in np.flatnonzero(seen):
        crops[frame] = restore(window.crops[frame], plan)
    return window, replace(window, crops=crops)


def blended(window: FaceWindow, rng: np.random.Generator) -> Pair | None:
    """The window and its self-blended fake, the same blending in all frames; None where no frame has landmarks.

    Frames without landmarks count as absent in both.
    """
    seen = window.present.astype(bool) & np.isfinite(window.mesh).all(axis=(1, 2))
    if not seen.any():
        return None
    boxes = np.where(seen[:, None], window.boxes, np.float32(np.nan))
    real = replace(window, present=seen.astype(np.uint8), boxes=boxes)
    crops = window.crops.copy()
    for _ in range(_TRIES):  # a mask that missed the crop, or a blend that changed nothing, is no fake
        alteration, masks = draw_alteration(rng), []
        for frame in np.flatnonzero(seen):
            crops[frame], mask = blend_with(window.crops[frame], window.mesh[frame].astype(np.float32), alteration)
            masks.append(mask.max())
        if np.abs(crops[seen].astype(np.int16) - window.crops[seen]).mean() > 0.25 and min(masks) > 0.5:
            break
    return real, replace(real, crops=crops)


def degraded(pair: Pair, plan: Degradation, rng: np.random.Generator) -> Pair:
    """Both windows, all their frames, through the same degradations."""
    real, fake = pair
    seen = real.present.astype(bool)
    half = int(seen.sum())
    frames = degrade([*real.crops[seen], *fake.crops[seen]], plan, rng, half)
    return _with_frames(real, frames[:half]), _with_frames(fake, frames[half:])


def _with_frames(window: FaceWindow, frames: Sequence[np.ndarray]) -> FaceWindow:
    crops = window.crops.copy()
    crops[window.present.astype(bool)] = np.stack(frames)
    return replace(window, crops=crops)


class Generator:
    """The autoencoder of a run of `dfd gan`: `size` px, `decoder` its kind; DataError for a run that has none."""

    def __init__(self, run: Path) -> None:
        try:
            plan = json.loads((run / "run.json").read_text(encoding="utf-8"))
            self.decoder, kind = str(plan["decoder"]), plan["kind"]
        except (OSError, ValueError, KeyError, TypeError):
            raise DataError(f"{run} is no run folder of 'dfd gan': it needs run.json and generator.keras.") from None
        if kind != "conv":
            raise DataError(f"{run} is a run of --kind {kind}, which makes faces of noise: train one of --kind conv.")
        path = run / "generator.keras"
        if not path.is_file():
            raise DataError(f"{run} has no generator.keras yet: let 'dfd gan --out {run}' come to its end.")
        import keras

        import trainer.fakes.gan.conv  # noqa: F401  registers PixelShuffle

        try:
            self._model = keras.saving.load_model(path, compile=False)
        except (OSError, ValueError):
            raise DataError(f"{path} is damaged: run 'dfd gan --out {run}' again.") from None
        self.size = int(self._model.input_shape[1])

    def pairs(self, data: Dataset, seed: int, plan: Degradation | None, rows: Sequence[int]) -> Iterator[Pair]:
        """Of each row the window at the generator's size, and the same through the generator."""
        at_once = max(1, _BATCH // data.header.frames)
        for start in range(0, len(rows), at_once):
            batch = rows[start : start + at_once]
            reals = [resized(data.window(row), self.size) for row in batch]
            made = self._resynthesised(np.concatenate([real.crops for real in reals]))
            for row, real, crops in zip(batch, reals, np.split(made, len(reals)), strict=True):
                pair = real, replace(real, crops=crops)
                yield pair if plan is None else degraded(pair, plan, np.random.default_rng([seed, row]))

    def _resynthesised(self, crops: np.ndarray) -> np.ndarray:
        """Uint8 (N, size, size, 3) RGB to what the generator makes of it."""
        made = np.asarray(self._model.predict_on_batch(crops.astype(np.float32) / 127.5 - 1))
        return np.clip(np.rint((made + 1) * 127.5), 0, 255).astype(np.uint8)


def resized(window: FaceWindow, size: int) -> FaceWindow:
    """The window with crops of `size` px, which show as much of the frame as before."""
    pixels = window.crops.shape[1]
    how = cv2.INTER_AREA if pixels > size else cv2.INTER_LINEAR
    crops = np.stack([cv2.resize(crop, (size, size), interpolation=how) for crop in window.crops])
    scale = size / pixels
    mesh = (window.mesh.astype(np.float32) * scale).astype(np.float16)
    return replace(window, crops=crops, boxes=window.boxes * np.float32(scale), mesh=mesh)
