"""`dfd gan`: two networks against each other on the real faces of a data set, with sample grids on the way."""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from dfd_core.console import PlainConsole
from dfd_core.errors import DataError
from dfd_core.flags import above_0, count, whole
from dfd_core.settings import Settings
from dfd_core.types import Float32Array
from trainer.data.dataset import Dataset
from trainer.fakes.gan.plan import Faces, Plan

EXAMPLES = """examples:
  dfd gan --data faces.h5 --out runs/gan                               # convolutional, 128 px
  dfd gan --data faces.h5 --out runs/shuffle --decoder shuffle --steps 5000
  dfd gan --data faces.h5 --out runs/mlp --kind mlp                    # the dense pair of the original work
  KERAS_BACKEND=torch dfd gan --data faces.h5 --out runs/gan           # again after a kill: goes on

The run folder holds samples/*.png, losses.csv, generator.keras, discriminator.keras, and report.json: how well the
discriminator tells real faces from those of its generator, and from the fakes of the data set."""

_GRID = 8  # faces a row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("--data", type=Path, required=True, metavar="DATASET.h5", help="its real training faces count")
    parser.add_argument("--out", type=Path, required=True, help="run folder; goes on where it stopped")
    parser.add_argument("--kind", choices=("conv", "mlp"), default="conv")
    parser.add_argument("--decoder", choices=("transposed", "nearest", "shuffle"), default="nearest", help="of conv")
    parser.add_argument("--size", type=count, default=128, help="px of the faces (default: 128)")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=above_0, default=2e-4, help="learning rate of both (default: 2e-4)")
    parser.add_argument("--every", type=int, default=100, help="steps between sample grids (default: 100)")
    parser.add_argument("--show", choices=("real", "fake"), default="real", help="faces of which class the grid shows")
    parser.add_argument("--threads", type=count, default=os.cpu_count() or 1, help="of the arithmetic on a CPU")
    parser.add_argument("--seed", type=whole, default=1)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Train, or go on training."""
    plan = Plan(args.kind, args.decoder, args.size, args.steps, args.batch, args.rate, args.seed)
    if min(plan.steps, plan.batch, args.every) < 1:
        raise DataError("--steps, --batch and --every must be at least 1.")
    data = Dataset(args.data)
    faces = Faces(data, plan.size)
    shown = faces.some(faces.rows(args.show == "fake"), _GRID, np.random.default_rng(plan.seed))
    from trainer.fakes.gan.adversaries import Adversaries  # Keras takes seconds to import
    from trainer.networks.arithmetic import use_fast_arithmetic

    use_fast_arithmetic(args.threads)
    (args.out / "samples").mkdir(parents=True, exist_ok=True)
    (args.out / "run.json").write_text(json.dumps(asdict(plan), indent=2) + "\n", encoding="utf-8")
    console, adversaries = PlainConsole(), Adversaries(plan)
    first = adversaries.restore(args.out)
    losses: list[tuple[float, ...]] = []
    saved = time.monotonic()
    for step in range(first + 1, plan.steps + 1):
        rng = np.random.default_rng([plan.seed, step])
        losses.append(adversaries.learn(faces.some(faces.rows(False), plan.batch, rng, mirror=True), rng))
        if not np.isfinite(losses[-1]).all():
            raise DataError(f"A loss is not finite at step {step}; {args.out} holds the last good weights.")
        if step % args.every == 0 or step == plan.steps:
            means = np.mean(losses, axis=0)
            console.print(f"step {step}/{plan.steps}  " + _row_text(means), highlight=False)
            _append(args.out / "losses.csv", (step, *means))
            write_grid(args.out / "samples" / f"{step:06d}.png", shown, adversaries.sample(shown))
            losses.clear()
        if time.monotonic() - saved > 300:
            adversaries.save(args.out, step)
            saved = time.monotonic()
    adversaries.save(args.out, max(first, plan.steps))
    adversaries.export(args.out)
    report = adversaries.judge(faces)
    (args.out / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    console.print(f"Done: {args.out}. The discriminator as a detector: {report}", highlight=False)
    return 0


def write_grid(path: Path, shown: Float32Array, made: Float32Array) -> None:
    """A PNG of two rows: faces float32 (N, S, S, 3) in -1..1 as they are, and what was made (of them)."""
    rows = [np.concatenate(list(row[:_GRID]), axis=1) for row in (shown, made)]
    pixels = np.clip((np.concatenate(rows, axis=0) + 1) * 127.5, 0, 255).astype(np.uint8)
    path.write_bytes(cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes())


def _row_text(means: npt.NDArray[np.float64]) -> str:
    return f"discriminator {means[0]:.3f}  fooling {means[1]:.3f}  pixels {means[2]:.4f}"


def _append(path: Path, row: tuple[float, ...]) -> None:
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        if fresh:
            writer.writerow(("step", "discriminator", "fooling", "pixels"))
        writer.writerow([f"{value:.5g}" for value in row])
