"""`dfd search`: AutoKeras looks for the best network that can be deployed, on the frames of a data set."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from dfd_core.console import PlainConsole
from dfd_core.errors import DataError
from dfd_core.flags import above_0, whole
from dfd_core.settings import Settings
from trainer.data.dataset import Dataset
from trainer.data.splits import RANDOM_FRAMES, WHY_NOT_RANDOM
from trainer.networks.weights import SEARCH
from trainer.search.autokeras_patches import check_packages
from trainer.search.frames import Frames, load_frames, rows_of
from trainer.search.plan import AUTOKERAS, DFD, Plan, read_trials, table_of, write_tables
from trainer.training.provenance import current_commit, fingerprint

EXAMPLES = """examples:
  dfd search --data faces.h5 --out runs/search                       # 2 trials of 4 epochs; again after a kill: goes on
  dfd search --data faces.h5 --out runs/search --trials 20           # goes on with 18 more
  dfd search --data faces.h5 --out runs/fast --max-latency-ms 2 --size 96
  dfd search --data faces.h5 --out runs/theirs --space autokeras     # the space of AutoKeras's ImageClassifier
  dfd export runs/search --out models/found                          # then: what dfd work and dfd scan can load

The validation part of the data set judges. A run folder holds best_model.keras, best_model.h5, best_model.png,
card.json with their hashes, trials.csv, history.csv, thresholds.json, run.json, and KerasTuner's trials/."""

_PACKAGES = ("autokeras", "keras", "keras-tuner", "tensorflow", "numpy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("--data", type=Path, required=True, metavar="DATASET.h5")
    parser.add_argument("--out", type=Path, required=True, help="run folder; goes on where it stopped")
    parser.add_argument("--trials", type=int, default=2, help="networks to try (default: 2)")
    parser.add_argument("--epochs", type=int, default=4, help="of each (default: 4)")
    parser.add_argument("--batch", type=int, default=32, help="pictures a step (default: 32)")
    parser.add_argument("--size", type=int, default=128, help="px of the faces (default: 128)")
    parser.add_argument("--frames", choices=("one", "all"), default="one", help="of each window (default: one)")
    parser.add_argument("--limit", type=int, default=0, help="windows of each class to train on (default: all)")
    parser.add_argument("--space", choices=(DFD, AUTOKERAS), default=DFD, help="what is searched (default: dfd)")
    parser.add_argument(
        "--backbones", nargs="+", default=["efficientnet-lite0", "mobilenet-v2", "plain"], metavar="NAME",
        help="of the space dfd; each is tried once, in this order (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--modalities", nargs="+", type=int, default=[2, 1, 3], metavar="N",
        help="1 is RGB, 2 adds gray, 3 the noise residual too; the first is tried first (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--max-parameters", type=above_0, default=5e6, help="ceiling of a network's (default: 5e6)")
    parser.add_argument("--max-latency-ms", type=above_0, help="ceiling, an image on one thread (default: none)")
    parser.add_argument("--seed", type=whole, default=1)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Search, or go on searching, and keep everything in the run folder."""
    given = {name: getattr(args, name) for name in Plan.__dataclass_fields__}
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    plan = Plan(**values)
    check_packages()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    console, data = PlainConsole(), Dataset(args.data)
    if data.header.split == RANDOM_FRAMES:
        console.print(WHY_NOT_RANDOM, style="yellow", soft_wrap=True)
    rows = rows_of(data, "train", plan.limit, args.seed), rows_of(data, "validation")
    facts = {
        "recipe": {"name": SEARCH, **json.loads(json.dumps(asdict(plan)))},
        "seed": args.seed,
        "commit": current_commit(),
        "data": {"train": len(rows[0]), "validation": len(rows[1]), "fingerprint": fingerprint([args.data])},
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }
    _refuse_another_search(args.out, facts)
    frames = _load(data, rows, plan, console)
    from trainer.search.artefacts import keep  # Keras takes seconds to import
    from trainer.search.tuner import search

    args.out.mkdir(parents=True, exist_ok=True)
    _write_facts(args.out, facts)
    console.print(f"{len(frames[0])} pictures to train on, {len(frames[1])} to validate", highlight=False)
    model, number = search(plan, args.out, args.seed, frames, console)
    trials = read_trials(args.out)
    best = next(trial for trial in trials if trial.number == number)
    facts["recipe"] |= {"backbone": best.choices.get("trunk/backbone", AUTOKERAS), "choices": best.choices}
    facts["best"] = {"trial": number, **best.figures()}
    _write_facts(args.out, facts)
    write_tables(args.out, trials)
    console.print(f"history: {', '.join(best.history)}", highlight=False)
    console.print(table_of(trials, number))
    keep(model, args.out, facts, frames[1])
    console.print(f"Done: {args.out}. Next: dfd export {args.out} --out MODEL/", soft_wrap=True)
    return 0


def _load(data: Dataset, rows: tuple[Any, Any], plan: Plan, console: Console) -> tuple[Frames, Frames]:
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("reading faces", total=sum(map(len, rows)))
        one, two = (
            load_frames(data, part, plan.size, plan.frames == "all", lambda: progress.advance(task)) for part in rows
        )
    return one, two


def _refuse_another_search(run: Path, facts: dict[str, Any]) -> None:
    """DataError where the folder holds a search that differs in more than the number of trials."""
    path = run / "run.json"
    if not path.is_file():
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    same = {"trials"}  # may differ
    for name, value in {**facts["recipe"], "seed": facts["seed"], "data": facts["data"]}.items():
        old = before.get(name, before.get("recipe", {}).get(name))
        if name not in same and old != value:
            raise DataError(f"{run} holds a run with {name} {old}, not {value}: take another --out.")


def _write_facts(run: Path, facts: dict[str, Any]) -> None:
    (run / "run.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
