"""`dfd train`: transfer learning on pictures of real faces, with fakes made on the way."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from dfd_core.console import PlainConsole
from dfd_core.errors import DataError
from dfd_core.flags import count, whole
from dfd_core.models.store import sha256_of
from dfd_core.settings import Settings
from trainer.data.face_pool import FacePool, pool_of
from trainer.data.portraits import load_portraits
from trainer.networks.weights import network_file
from trainer.training.provenance import current_commit, data_statement, fingerprint, version_of, write_run_card
from trainer.training.recipes import Recipe, changed, recipe_named, recipe_names

EXAMPLES = """examples:
  dfd train finetune --data ff.h5 --out runs/mine                # again after a kill: goes on from the checkpoint
  dfd train finetune --data ff.h5 --data generated.h5 --out runs/more
  dfd train selfblend --data portraits/ --out runs/first          # a folder of real faces is enough
  dfd train finetune --data ff.h5 --out runs/mine --start models/first   # from your own model instead of ImageNet
  KERAS_BACKEND=torch dfd train selfblend --data real.h5 --out runs/first
  KERAS_BACKEND=jax dfd train clips --data clips.h5 --out runs/mine --devices 4      # that share each step
  dfd train clips --data clips.h5 --folds 3 --out runs/folds      # how good is the recipe on methods never seen?
  dfd train clips --data clips.h5 --teacher runs/larger --out runs/mine       # distillation
  dfd export runs/mine --out models/mine                          # then: what dfd work and dfd scan can load

--data is a data set of 'dfd data build' or 'dfd data fakes', given as often as there are some, whose validation part
validates; or a folder with faces.csv (columns file and source), where a recipe's held-out sources do. A run folder
holds run.json, history.csv, curves.png, checkpoint.keras, best.keras, thresholds.json, log.txt, and TensorBoard's
events (tensorboard --logdir runs/)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("recipe", help=f"one of {', '.join(recipe_names())}")
    parser.add_argument("--data", type=Path, required=True, action="append", help="data set, or folder of real faces")
    parser.add_argument("--out", type=Path, required=True, help="run folder; goes on where it stopped")
    parser.add_argument("--start", type=Path, metavar="MODEL", help="go on from a run or model folder, not ImageNet")
    parser.add_argument(
        "--teacher",
        type=Path,
        metavar="MODEL",
        help="learn what this run or model says beside the labels; with --folds a folder of them, as --folds wrote it",
    )
    parser.add_argument(
        "--change", action="append", default=[], metavar="NAME=VALUE", help="of the recipe: epochs=4, fakes.swapped=0.2"
    )
    parser.add_argument("--seed", type=whole, default=1)
    parser.add_argument(
        "--folds",
        type=count,
        metavar="K",
        help="train K times, and judge each time by methods, pages and people left out",
    )
    parser.add_argument(
        "--without", action="append", default=[], metavar="FAMILY", help="likewise, and judge by a family of methods"
    )
    parser.add_argument(
        "--threads", type=count, default=os.cpu_count() or 1, help="of the arithmetic on a CPU, with PyTorch"
    )
    parser.add_argument("--feeders", type=count, default=2, help="processes that make samples (default: 2)")
    parser.add_argument("--devices", type=count, default=1, help="that share each step (with KERAS_BACKEND=jax)")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Train, or go on training, and keep everything in the run folder."""
    console = PlainConsole()
    recipe = changed(recipe_named(args.recipe), args.change)
    start = None if args.start is None else network_file(args.start)
    pool = _pool(args.data, args.out, recipe, console)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # PyTorch's threads that wait leave their core to the feeders
    from trainer.training.loop import Given, Machine, fit, set_thresholds  # Keras takes seconds to import

    machine = Machine(args.threads, args.feeders, args.devices)

    facts = {
        "recipe": asdict(recipe),
        "seed": args.seed,
        "start": None if start is None else sha256_of(start),
        "commit": current_commit(),
        "data": {"faces": len(pool), "fingerprint": fingerprint(args.data), "sources": data_statement(args.data)},
        "versions": {name: version_of(name) for name in ("keras", "tensorflow", "torch", "jax", "numpy", "av")},
    }

    def train(faces: FacePool, out: Path) -> Any:
        teacher = None if args.teacher is None else network_file(args.teacher / out.relative_to(args.out))
        out.mkdir(parents=True, exist_ok=True)
        write_run_card(out, {**facts, "teacher": None if teacher is None else sha256_of(teacher)})
        given = Given(start, teacher)
        return fit(faces, recipe, out, args.seed, _reporter(console, out), machine=machine, given=given)

    if args.folds or args.without:
        from trainer.training.folds import folds_of, run_folds, scoring_of, without_family

        folds = folds_of(pool, args.folds) if args.folds else []
        folds += [without_family(pool, family) for family in args.without]
        report = _reporter(console, args.out)
        run_folds(pool, folds, args.out, args.seed, train=lambda *part: scoring_of(train(*part)), report=report)
        console.print(f"Done: see {args.out / 'report.json'}.")
        return 0
    report = _reporter(console, args.out)
    set_thresholds(pool, recipe, args.out, args.seed, train(pool, args.out), report=report)
    console.print(f"Done: {args.out}. Next: dfd export {args.out} --out MODEL/")
    return 0


def _reporter(console: Console, out: Path) -> Callable[[str], None]:
    """What prints a line and adds it to the log of a folder."""

    def report(line: str) -> None:
        console.print(line, highlight=False, soft_wrap=True)
        out.mkdir(parents=True, exist_ok=True)
        with (out / "log.txt").open("a", encoding="utf-8") as handle:
            handle.write(line + "\n")

    return report


def _pool(data: Sequence[Path], out: Path, recipe: Recipe, console: Console) -> FacePool:
    folders = [path for path in data if path.is_dir()]
    if not folders:
        return pool_of(data)
    if len(data) > 1:
        raise DataError(f"{folders[0]} is a folder: build a data set of it to train on several at once.")
    with Progress(console=console) as progress:
        task = progress.add_task("finding faces", total=None)
        return load_portraits(
            folders[0],
            out / "faces.npz",
            recipe.sampling.held_out,
            lambda done, of: progress.update(task, completed=done, total=of),
        )
