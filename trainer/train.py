"""`dfd train`: transfer learning on pictures of real faces, with fakes made on the way."""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import os
import subprocess
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from dfd_core.settings import Settings
from trainer.pool import FacePool, load_pool
from trainer.recipes import RECIPES, recipe_named

HELP = "train a detector on pictures of real faces; fakes are made on the way"
EXAMPLES = """examples:
  dfd train selfblend --data faces/ --out runs/first        # again after a kill: goes on from the checkpoint
  KERAS_BACKEND=torch dfd train selfblend --data faces/ --out runs/first
  dfd export runs/first --out models/mine                   # then: what dfd work and dfd scan can load

--data is a folder with faces.csv (columns file and source); sources of a recipe's held_out only validate."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("recipe", help=f"one of {', '.join(RECIPES)}")
    parser.add_argument("--data", type=Path, required=True, help="folder of face pictures with faces.csv")
    parser.add_argument("--out", type=Path, required=True, help="run folder; goes on where it stopped")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, help="of each learner's arithmetic on a CPU"
    )
    parser.add_argument("--feeders", type=int, default=2, help="processes that make samples, for each learner")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Train, or go on training, and keep everything in the run folder."""
    console = Console()
    recipe = recipe_named(args.recipe)
    pool = _pool(args.data, args.out, console)
    from trainer.fit import fit, write_run_card  # Keras takes seconds to import

    args.out.mkdir(parents=True, exist_ok=True)
    write_run_card(
        args.out,
        {
            "recipe": asdict(recipe),
            "seed": args.seed,
            "commit": current_commit(),
            "data": {"faces": len(pool), "fingerprint": fingerprint(pool)},
            "versions": {name: _version(name) for name in ("keras", "tensorflow", "torch", "numpy", "av")},
        },
    )
    log = args.out / "log.txt"

    def say(line: str) -> None:
        console.print(line, highlight=False)
        with log.open("a", encoding="utf-8") as handle:
            handle.write(line + "\n")

    fit(pool, recipe, args.out, args.seed, say, threads=args.threads, feeders=args.feeders)
    console.print(f"Done: {args.out}. Next: dfd export {args.out} --out MODEL/")
    return 0


def fingerprint(pool: FacePool) -> str:
    """SHA-256 (hex, 16 digits) over names and sizes of the pictures."""
    lines = sorted(f"{path.name} {path.stat().st_size}" for path in pool.files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def current_commit() -> str:
    """Git commit of the code that runs, or 'unknown'."""
    place = Path(__file__).parent
    done = subprocess.run(["git", "-C", place, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _pool(data: Path, out: Path, console: Console) -> FacePool:
    with Progress(console=console) as progress:
        task = progress.add_task("finding faces", total=None)
        return load_pool(data, out / "faces.npz", lambda done, of: progress.update(task, completed=done, total=of))


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
