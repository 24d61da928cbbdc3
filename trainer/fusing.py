"""`dfd fuse`: the weights of the checks, their calibration and the thresholds of a model, fitted on clips."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

from dfd_core.console import PlainConsole
from dfd_core.errors import DataError
from dfd_core.files import find_files
from dfd_core.fusion import DEFAULT_WEIGHTS, Fusion, Quality, logit
from dfd_core.models.store import CARD, read_card, write_card
from dfd_core.offline import windows_of
from dfd_core.scoring import Scorer, load_scorer, quality_of
from dfd_core.settings import Settings
from dfd_core.types import Thresholds
from dfd_core.video import VIDEO_SUFFIXES, stream_name
from trainer.children import processes
from trainer.clips import AUTHENTIC, make_clip
from trainer.data.layouts import SPLITS
from trainer.figures import calibration_error
from trainer.manipulations import MANIPULATIONS, OVER_TIME, SELF_BLENDED, SWAPPED
from trainer.pool import FacePool, pool_of

EXAMPLES = """examples:
  dfd fuse models/mine --data faces.h5 --data restored.h5 --out models/fused
  dfd fuse models/mine --data faces.h5 --real videos/authentic/ --out models/fused

Clips are made of the faces of a split that training did not see: filmed by a virtual camera, manipulated, encoded, and
scored as any video. Videos known to be real (--real FOLDER) count as authentic ones beside them. Fakes over time
(--also frozen, --also lip_synced) hardly show in single frames: with them the fit trusts a network less."""

_FALSE_ALARMS = 0.05, 0.06  # of authentic windows: above `enter`, above `exit`; clips are harder than most footage
_PRIOR = 0.02  # weight of the pull towards the network alone, an evidence
CHECKS = tuple(DEFAULT_WEIGHTS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("model", type=Path, help="model folder of dfd export")
    parser.add_argument(
        "--data", type=Path, required=True, action="append", help="data set; as often as there are some"
    )
    parser.add_argument("--split", choices=SPLITS, default=SPLITS[1], help="whose faces are filmed (validation)")
    parser.add_argument("--real", type=Path, action="append", default=[], metavar="FOLDER", help="of authentic videos")
    parser.add_argument("--clips", type=int, default=120, help="of each kind (default: 120)")
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
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--seed", type=int, default=1)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Score clips, fit, and write the model folder anew."""
    settings = replace(settings, model=replace(settings.model, path=str(args.model)))
    load_scorer(settings)  # a wrong model fails here
    pool = pool_of(args.data)
    pool = pool.only(pool.splits == args.split)
    takes = [*takes_of(pool, args.clips, args.seed, args.also), *_videos(args.real)]
    evidence = Evidence.of(row for rows in _scored(takes, settings, pool, args) for row in rows)
    fitted = fit_fusion(evidence)
    probabilities = fused(fitted, evidence)
    thresholds = thresholds_of(probabilities, evidence)
    figures = figures_of(evidence, args.seed)
    if args.out.resolve() != args.model.resolve():
        args.out.mkdir(parents=True, exist_ok=True)
        for name in read_card(args.model).files:
            shutil.copy(args.model / name, args.out / name)
        shutil.copy(args.model / CARD, args.out / CARD)
    card = read_card(args.out)
    card = replace(card, fusion=fitted, thresholds=thresholds, figures={**card.figures, "clips": figures})
    write_card(args.out, card)
    print(f"{args.out}: {describe(fitted)}; an alarm begins at {thresholds.enter} and ends below {thresholds.exit}")
    for name, value in figures.items():
        print(f"  {name}: {value}")
    return 0


@dataclass(frozen=True, slots=True)
class Take:
    """A clip to be made, of face `index`, or a real video that is there."""

    kind: str
    index: int = -1
    seed: int = 0
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A scored window: its clip, kind, checks' scores and quality."""

    clip: int
    kind: str
    scores: dict[str, float | None]
    quality: Quality


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """N windows: clips (N,), kinds (N,), labels (N,) with 1 for fake, and the rows themselves."""

    rows: tuple[Row, ...]
    clips: np.ndarray
    kinds: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, rows: Iterator[Row]) -> Evidence:
        """DataError where one class could not be scored."""
        kept = tuple(rows)
        kinds = np.array([row.kind for row in kept])
        labels = (kinds != AUTHENTIC).astype(np.int8)
        if len(set(labels.tolist())) < 2:
            raise DataError("Of one class no clip could be scored: give --data with larger faces, or more --clips.")
        return cls(kept, np.array([row.clip for row in kept]), kinds, labels)

    def only(self, chosen: np.ndarray) -> Evidence:
        """The windows where `chosen` (N,) is true."""
        rows = tuple(row for row, keep in zip(self.rows, chosen, strict=True) if keep)
        return Evidence(rows, self.clips[chosen], self.kinds[chosen], self.labels[chosen])


def fit_fusion(evidence: Evidence) -> dict[str, Any]:
    """The section `fusion` of a card: regularised logistic regression, no check and no quality below 0.

    Both classes weigh alike, and within the fakes each kind. What is not there pulls towards the network alone.
    """
    logits = np.array([[logit(_known(row.scores[check])) for check in CHECKS] for row in evidence.rows])
    octaves = np.array([row.quality.octaves for row in evidence.rows])
    weights, start = _weights(evidence), np.array([1.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0])

    def loss(values: np.ndarray) -> float:
        reliability = 1 / (1 + np.exp(-(values[4] + octaves @ values[5:])))
        total = values[3] + reliability * (logits @ values[:3])
        signs = 2.0 * evidence.labels - 1
        return float(weights @ np.logaddexp(0, -signs * total) + _PRIOR * ((values - start) ** 2).sum())

    bounds = [(0, 3), (0, 3), (0, 3), (-5, 5), (-4, 6), (0, 4), (0, 4), (0, 4)]
    best = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x.round(3).tolist()
    reliability = dict(zip(("offset", "width", "sharpness", "compression"), best[4:], strict=True))
    return {**dict(zip(CHECKS, best[:3], strict=True)), "bias": best[3], "reliability": reliability}


def fused(section: dict[str, Any], evidence: Evidence) -> np.ndarray:
    """Fake probabilities (N,) as serving would give them."""
    fusion = Fusion.from_card(section)
    return np.array([fusion.probability(row.scores, row.quality) for row in evidence.rows], float)


def thresholds_of(probabilities: np.ndarray, evidence: Evidence) -> Thresholds:
    """Those that few authentic windows exceed; an alarm never begins below even odds."""
    enter, exit_ = (float(np.quantile(probabilities[evidence.labels == 0], 1 - share)) for share in _FALSE_ALARMS)
    enter = max(enter, 0.5)
    return Thresholds(enter=round(enter, 3), exit=round(min(max(exit_, 0.4), enter), 3))


def figures_of(evidence: Evidence, seed: int) -> dict[str, Any]:
    """AUC and calibration error on clips that were not fitted on: of each half, by what the other half gave.

    Beside them those of the network alone.
    """
    half = np.random.default_rng(seed).permutation(evidence.clips.max() + 1)[evidence.clips] % 2 == 0
    probabilities = np.empty(len(half))
    for side in (half, ~half):
        probabilities[side] = fused(fit_fusion(evidence.only(~side)), evidence.only(side))
    alone = fused({"appearance": 1.0}, evidence)
    reals = evidence.labels == 0
    checks = {check: np.array([_known(row.scores[check]) for row in evidence.rows]) for check in CHECKS}
    by_kind = {
        str(kind): round(float(roc_auc_score(evidence.labels[of], probabilities[of])), 3)
        for kind in sorted(set(evidence.kinds[~reals]))
        if (of := reals | (evidence.kinds == kind)).any()
    }
    return {
        "windows": len(half),
        "clips": len(set(evidence.clips.tolist())),
        "auc": round(float(roc_auc_score(evidence.labels, probabilities)), 3),
        "auc_by_kind": by_kind,
        "auc_by_check": {name: round(float(roc_auc_score(evidence.labels, of)), 3) for name, of in checks.items()},
        "calibration_error": round(calibration_error(evidence.labels, probabilities), 3),
        "calibration_error_of_the_network": round(calibration_error(evidence.labels, alone), 3),
    }


def describe(section: dict[str, Any]) -> str:
    """The weights in one line."""
    checks = ", ".join(f"{name} {section[name]}" for name in CHECKS)
    quality = ", ".join(f"{name} {value}" for name, value in section["reliability"].items())
    return f"weights {checks}, bias {section['bias']}; reliability {quality}"


def _known(score: float | None) -> float:
    """A check that could not tell counts as even odds."""
    return 0.5 if score is None else score


def _weights(evidence: Evidence) -> np.ndarray:
    """Of each window (N,), summing to 1: half for the authentic ones, and the rest shared by the kinds of fakes."""
    weights, fakes = np.empty(len(evidence.labels)), sorted(set(evidence.kinds[evidence.labels == 1]))
    for kind in (AUTHENTIC, *fakes):
        of = evidence.kinds == kind
        weights[of] = (0.5 if kind == AUTHENTIC else 0.5 / len(fakes)) / of.sum()
    return weights


def takes_of(pool: FacePool, clips: int, seed: int, also: Sequence[str] = ()) -> list[Take]:
    """`clips` of each kind that the pool can give, and of those in `also`; the authentic ones as many as all fakes."""
    kinds = dict.fromkeys((SELF_BLENDED, SWAPPED, *also), pool.reals)
    kinds |= {kind: rows for kind, rows in pool.fakes.items() if len(rows)}
    takes = [Take(kind, int(rows[n % len(rows)]), seed + n) for kind, rows in kinds.items() for n in range(clips)]
    reals = [Take(AUTHENTIC, int(pool.reals[n % len(pool.reals)]), seed + n) for n in range(len(takes))]
    return [*takes, *reals]


def _videos(folders: Sequence[Path]) -> list[Take]:
    found = [path for path in find_files(folders) if path.suffix.lower() in VIDEO_SUFFIXES]
    if folders and not found:
        raise DataError(f"{folders[0]} holds no video ({', '.join(sorted(VIDEO_SUFFIXES))}).")
    return [Take(AUTHENTIC, path=path) for path in found]


_process: list[tuple[Settings, Scorer, FacePool]] = []  # of a worker process: made once


def _prepare(settings: Settings, pool: FacePool) -> None:
    _process.append((settings, load_scorer(settings), pool))


def _scored(takes: Sequence[Take], settings: Settings, pool: FacePool, args: argparse.Namespace) -> Iterator[list[Row]]:
    shared = replace(settings, worker=replace(settings.worker, threads=1))
    with (
        processes(args.jobs, _prepare, shared, pool) as executor,
        Progress(console=PlainConsole(stderr=True), disable=not sys.stderr.isatty()) as bar,
    ):
        yield from bar.track(executor.map(_score, range(len(takes)), takes), total=len(takes), description="clips")


def _score(number: int, take: Take) -> list[Row]:
    settings, scorer, pool = _process[0]
    if take.path is not None:
        return _rows(number, AUTHENTIC, take.path, settings, scorer)
    rng = np.random.default_rng([take.seed, number])
    whole = take.kind not in MANIPULATIONS
    with tempfile.TemporaryDirectory(prefix="dfd-") as folder:
        path = Path(folder) / "clip.mp4"
        make_clip(pool, AUTHENTIC if whole else take.kind, take.index, path, rng)
        return _rows(number, take.kind, path, settings, scorer)


def _rows(number: int, kind: str, path: Path, settings: Settings, scorer: Scorer) -> list[Row]:
    """Of each scorable window of a file its checks and its quality, of all faces."""
    windows = list(windows_of(str(path), stream_name(str(path)), settings, lambda _: None, live=False))
    places = [n for n, name in enumerate(scorer.columns) if name.startswith("quality.")]
    rows, measured = [], {}
    for window, (result, features) in zip(windows, scorer.score(windows), strict=True):
        measured[id(window[-1])] = features
        for score in result.scores:
            if score.fake_probability is None:
                continue
            own = [measured[id(s)].tracks[score.track] for s in window if score.track in measured[id(s)].tracks]
            columns = np.concatenate(own)[:, places]
            rows.append(Row(number, kind, score.checks, quality_of(columns[np.isfinite(columns[:, -1])])))
    return rows
