"""`dfd export`: the averaged weights of a run as a model folder that `dfd work`, `dfd scan` and a GPU can load.

A model folder in place of a run is copied, for formats to be added to it.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dfd_core.errors import DataError
from dfd_core.flags import above_0
from dfd_core.models.store import (
    CARD,
    DEFAULT_THRESHOLDS,
    KERAS_FILE,
    LITERT_FILE,
    SHIPPED,
    ModelCard,
    ModelInput,
    read_card,
    sha256_of,
    write_card,
)
from dfd_core.settings import Settings
from dfd_core.types import Thresholds
from trainer.networks.architecture import Architecture
from trainer.networks.formats import FORMATS, add_formats, copied
from trainer.networks.litert import PRECISIONS, to_litert
from trainer.networks.weights import SEARCH, network_file, trusted

EXAMPLES = """examples:
  dfd export runs/first --out models/mine
  dfd export runs/first --out models/small --precision int8
  dfd export runs/second --mean-with runs/first --out models/mean       # of two that went on from one start
  dfd export runs/first --out models/mine --figures report/report.json --enter 0.8 --exit 0.6
  dfd export runs/search --out models/found             # what dfd search found
  dfd export models/mine --out models/onnx --format onnx           # one that was exported before; also shipped
  dfd scan --set model.path=models/mine clip.mp4"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument(
        "run",
        type=Path,
        help="run folder of dfd train or dfd search, model file of the latter, or model folder (shipped: dfd's own)",
    )
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--checkpoint", action="store_true", help="the last checkpoint of a run that has not ended")
    parser.add_argument("--figures", type=Path, help="report.json of dfd evaluate, for the card")
    parser.add_argument("--enter", type=float, help="probability from which a face counts as fake (default: the run's)")
    parser.add_argument("--exit", type=float, help="probability below which it is authentic again (default: the run's)")
    parser.add_argument(
        "--mean-with",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="export the mean of its weights and those of this run or model; as often as there are some",
    )
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="float16", help="of the LiteRT file's weights (default: float16)"
    )
    parser.add_argument(
        "--format", choices=FORMATS, action="append", default=[], help="write this too; as often as there are some"
    )
    parser.add_argument("--temperature", type=above_0, default=1.0, help="logits are divided by it")
    parser.add_argument("--bias", type=float, default=0.0, help="then this is added")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Write the model folder."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    source = SHIPPED if str(args.run) == "shipped" and not args.run.exists() else args.run
    exported = (source / LITERT_FILE).is_file()  # a run of a search has a card too
    card = _copied(args, source) if exported else _exported(args)
    add_formats(args.out, args.format)
    card = write_card(args.out, card)
    print(
        f"{args.out}: {card.name}, "
        + ", ".join(f"{n} {(args.out / n).stat().st_size / 1e6:.1f} MB" for n in card.files)
    )
    return 0


def _copied(args: argparse.Namespace, source: Path) -> ModelCard:
    """The card of a model folder that is copied as it is; DataError where something else is asked of it."""
    if not args.format:
        raise DataError(f"{source} is exported already: say with --format what to add to a copy of it.")
    return copied(source, args.out)


def _exported(args: argparse.Namespace) -> ModelCard:
    """Write the networks of a run; its card, still without hashes."""
    folder = trusted(args.run).parent if args.run.is_file() else args.run  # of a search, a model file may be named
    facts = _facts(folder)
    design = Architecture.of_run(facts["recipe"])
    _require_tensorflow()
    model = _network(args, facts["recipe"]["name"], design)
    args.out.mkdir(parents=True, exist_ok=True)
    model.save(args.out / KERAS_FILE)
    (args.out / LITERT_FILE).write_bytes(to_litert(model, args.precision))
    recipe = facts["recipe"]
    return ModelCard(
        name=f"{design.backbone}-{recipe['name']}{'-mean' if args.mean_with else ''}",
        version=str(facts["commit"])[:8],
        input=ModelInput(size=int(model.input_shape[1])),
        outputs={"logit": "above 0 means fake"},
        fusion={"appearance": 1 / args.temperature, "bias": args.bias},
        thresholds=_thresholds(args, folder),
        data=facts["data"],
        recipe={**recipe, "mean_with": [_origin(folder) for folder in args.mean_with]},
        commit=str(facts["commit"]),
        seed=facts["seed"],
        licence="Apache-2.0",
        figures=_figures(args.figures),
    )


def _network(args: argparse.Namespace, recipe: str, design: Architecture) -> Any:
    """What a search found, or what was trained, as it serves."""
    if recipe == SEARCH:
        from trainer.networks.found import as_detector, load_best

        return as_detector(load_best(args.run))
    from trainer.networks.serving import serving_model

    return serving_model(args.run, args.checkpoint, design, args.mean_with)


def _origin(folder: Path) -> dict[str, Any]:
    """What is known of a network that the mean was taken with: its recipe's name, commit, seed and SHA-256."""
    if (folder / CARD).is_file():
        card = read_card(folder)
        name, commit, seed = (card.recipe or {}).get("name"), card.commit, card.seed
    else:
        facts = _facts(folder)
        name, commit, seed = facts["recipe"]["name"], facts["commit"], facts["seed"]
    return {"recipe": name, "commit": commit, "seed": seed, "sha256": sha256_of(network_file(folder))}


def _require_tensorflow() -> None:
    import keras

    if keras.backend.backend() != "tensorflow":
        raise DataError("dfd export converts with TensorFlow: run it with KERAS_BACKEND=tensorflow.")


def _facts(run: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((run / "run.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise DataError(f"{run} is not a run folder of dfd train: it has no run.json.") from None


def _thresholds(args: argparse.Namespace, folder: Path) -> Thresholds:
    """Those of the flags, else those that training found on its held-out pictures, else plain ones."""
    path = folder / "thresholds.json"
    given = {name: value for name in ("enter", "exit") if (value := getattr(args, name)) is not None}
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else asdict(DEFAULT_THRESHOLDS)
        return Thresholds(**{**found, **given})
    except (OSError, ValueError, TypeError):
        raise DataError(f"{path} does not hold enter and exit, as dfd train writes them.") from None


def _figures(report: Path | None) -> dict[str, Any]:
    if report is None:
        return {}
    try:
        return dict(json.loads(report.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise DataError(f"{report} is not a report.json of dfd evaluate.") from None
