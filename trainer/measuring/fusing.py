"""`dfd fuse`: the weights of the checks, their calibration and the thresholds of a model, fitted on clips."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from rich.progress import Progress

from dfd_core.console import PlainConsole
from dfd_core.detector import windows_of
from dfd_core.errors import DataError
from dfd_core.flags import count, whole
from dfd_core.judging.scoring import Scorer, load_scorer
from dfd_core.media import VIDEO_SUFFIXES, stream_name
from dfd_core.media.files import find_files
from dfd_core.models.store import ModelCard, read_card, write_card
from dfd_core.settings import Settings
from trainer.data.face_pool import REAL, FacePool, pool_of
from trainer.data.layouts import SPLITS
from trainer.fakes.clips import AUTHENTIC, make_clip
from trainer.fakes.kinds import IN_CLIPS, MANIPULATIONS, OVER_TIME
from trainer.measuring.evidence import (
    CHECKS,
    Evidence,
    Row,
    describe,
    figures_of,
    fit_fusion,
    fused,
    rows_of,
    thresholds_of,
)
from trainer.measuring.held_out import held_out_rows
from trainer.networks.weights import copy_model
from trainer.processes import processes

EXAMPLES = """examples:
  dfd fuse models/mine --windows windows.h5 --folds runs/folds --out models/fused
  dfd fuse models/mine --data faces.h5 --data restored.h5 --out models/fused
  dfd fuse models/mine --data faces.h5 --real videos/authentic/ --out models/fused

Best is real footage: the windows of a data set of clips (--windows), each scored by the network of the fold that did
not see it ('dfd train --folds'), those of its validation split by the model itself. Without such, clips are made of the
faces of a split that training did not see (--data): filmed by a virtual camera, manipulated, encoded, and scored as any
video. Videos known to be real (--real FOLDER) count as authentic ones beside them. Fakes over time (--also frozen,
--also lip_synced) hardly show in single frames: with them the fit trusts a network less."""

_MOST_TAKES = 10  # of a face of a data set's fakes: where they are so few, they do not stand for a kind
_FALSE_ALARMS = 0.02, 0.04  # of authentic windows: above `enter`, above `exit`
_FILMED_ALARMS = 0.05, 0.06  # of filmed ones, which are harder than most footage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("model", type=Path, help="model folder of dfd export")
    parser.add_argument("--windows", type=Path, metavar="DATASET.h5", help="windows of real-world clips")
    parser.add_argument("--folds", type=Path, metavar="RUN", help="run of 'dfd train --folds' on the same clips")
    parser.add_argument(
        "--data", type=Path, action="append", default=[], help="data set to film; as often as there are some"
    )
    parser.add_argument(
        "--check", choices=CHECKS, action="append", default=[], help="that may get a weight (default: every one)"
    )
    parser.add_argument("--split", choices=SPLITS, default=SPLITS[1], help="whose faces are filmed (validation)")
    parser.add_argument("--real", type=Path, action="append", default=[], metavar="FOLDER", help="of authentic videos")
    parser.add_argument("--clips", type=count, default=120, help="of each kind (default: 120)")
    parser.add_argument(
        "--also",
        choices=OVER_TIME,
        action="append",
        default=[],
        help="clips of this kind of fake too, as often as wanted",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="model folder to write: files are copied, the card is new"
    )
    parser.add_argument("--jobs", type=count, default=2, help="processes (default: 2)")
    parser.add_argument("--seed", type=whole, default=1)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Score clips, fit, and write the model folder anew."""
    settings = replace(settings, model=replace(settings.model, path=str(args.model)))
    load_scorer(settings)  # a wrong model fails here
    evidence = Evidence.of(chain(_rows_of_windows(args, settings), _rows_of_filmed(args, settings)))
    fitted = fit_fusion(evidence, args.check or CHECKS)
    probabilities = fused(fitted, evidence)
    thresholds = thresholds_of(probabilities, evidence, _FALSE_ALARMS if args.windows else _FILMED_ALARMS)
    figures = figures_of(evidence, args.seed, args.check or CHECKS)
    copy_model(args.model, args.out)
    card = read_card(args.out)
    card = replace(card, fusion=fitted, thresholds=thresholds, figures={**card.figures, "clips": figures})
    write_card(args.out, replace(card, version=_version_of(card)))
    print(f"{args.out}: {describe(fitted)}; an alarm begins at {thresholds.enter} and ends below {thresholds.exit}")
    for name, value in figures.items():
        print(f"  {name}: {value}")
    return 0


def _version_of(card: ModelCard) -> str:
    """Another one for other files or another fusion: reports are kept by name and version of the model."""
    facts = [sorted(card.files.items()), card.fusion, asdict(card.thresholds)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Take:
    """A clip to be made, of face `index`, or a real video that is there."""

    kind: str
    index: int = -1
    seed: int = 0
    path: Path | None = None


def _rows_of_windows(args: argparse.Namespace, settings: Settings) -> Iterator[Row]:
    if args.windows is None:
        return iter(())
    return held_out_rows(args.windows, args.folds, settings, args.jobs)


def _rows_of_filmed(args: argparse.Namespace, settings: Settings) -> Iterator[Row]:
    if args.windows is None and (not args.data or args.folds):
        raise DataError("Give --windows, perhaps with --folds; or --data with faces to film; or both.")
    if not args.data:
        return iter(())
    pool = pool_of(args.data)
    pool = pool.only(pool.splits == args.split)
    takes = [*takes_of(pool, args.clips, args.seed, args.also), *_videos(args.real)]
    filmed = (row for rows in _scored(takes, settings, pool, args) for row in rows)
    return (replace(row, clip=-1 - row.clip) for row in filmed)  # not to be taken for those of the windows


def takes_of(pool: FacePool, clips: int, seed: int, also: Sequence[str] = ()) -> list[Take]:
    """`clips` of each kind that the pool can give, and of those in `also`; the authentic ones as many as all fakes."""
    kinds = dict.fromkeys((*(kind.name for kind in IN_CLIPS if not kind.over_time), *also), pool.reals)
    kinds |= {kind: rows for kind, rows in pool.fakes.items() if clips < _MOST_TAKES * len(rows)}
    takes = [Take(kind, int(rows[n % len(rows)]), seed + n) for kind, rows in kinds.items() for n in range(clips)]
    takes = [replace(take, kind=str(pool.sources[take.index])) if take.kind == REAL else take for take in takes]
    reals = [Take(AUTHENTIC, int(pool.reals[n % len(pool.reals)]), seed + n) for n in range(len(takes))]
    return [*takes, *reals]


def _videos(folders: Sequence[Path]) -> list[Take]:
    found = [path for path in find_files(folders) if path.suffix.lower() in VIDEO_SUFFIXES]
    if folders and not found:
        raise DataError(f"{folders[0]} holds no video ({', '.join(sorted(VIDEO_SUFFIXES))}).")
    return [Take(AUTHENTIC, path=path) for path in found]


_State = tuple[Settings, Scorer, FacePool]


def _prepare(settings: Settings, pool: FacePool) -> _State:
    return settings, load_scorer(settings, every_check=True), pool


def _scored(takes: Sequence[Take], settings: Settings, pool: FacePool, args: argparse.Namespace) -> Iterator[list[Row]]:
    shared = replace(settings, worker=replace(settings.worker, threads=1))
    with (
        processes(args.jobs, _prepare, shared, pool) as workers,
        Progress(console=PlainConsole(stderr=True), disable=not sys.stderr.isatty()) as bar,
    ):
        yield from bar.track(workers.map(_score, range(len(takes)), takes), total=len(takes), description="clips")


def _score(state: _State, number: int, take: Take) -> list[Row]:
    settings, scorer, pool = state
    if take.path is not None:
        return _rows(number, AUTHENTIC, take.path, settings, scorer)
    rng = np.random.default_rng([take.seed, number])
    whole = take.kind not in MANIPULATIONS
    with tempfile.TemporaryDirectory(prefix="dfd-") as folder:
        path = Path(folder) / "clip.mp4"
        make_clip(pool, AUTHENTIC if whole else take.kind, take.index, path, rng)
        return _rows(number, take.kind, path, settings, scorer)


def _rows(number: int, kind: str, path: Path, settings: Settings, scorer: Scorer) -> list[Row]:
    windows = list(windows_of(str(path), stream_name(str(path)), settings, lambda _: None, live=False))
    return rows_of(number, kind, windows, scorer)
