"""Folds over real-world clips: each is judged by a network that saw neither its method, nor its page, nor its people.

Pages that share a method are one cluster; a fold tests whole clusters, and training loses everybody who is seen there.
Files without a family (portraits) are always trained on, and not scored; the validation split is scored by every
fold's network.
"""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dfd_core.checks.appearance import network_input
from dfd_core.errors import DataError
from dfd_core.types import Float32Array
from trainer.data.face_pool import TRAIN, VALIDATION, FacePool
from trainer.measuring.figures import REPORT, SCORES, figures, report_of
from trainer.training.run_log import scores_of

_EVEN = 0.5  # where the figures count a score as an accusation; folds have no thresholds of their own
Row = dict[str, str]
Mask = npt.NDArray[np.bool_]
Scoring = Callable[[FacePool, Sequence[int]], list[Row]]  # of some faces of a pool, a row for each of their files


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Which faces of a pool train and which are tested: bool (N,) each."""

    name: str
    train: Mask
    test: Mask


def folds_of(pool: FacePool, count: int, seed: int = 1) -> list[Fold]:
    """`count` folds whose tests together are all training faces that have a family; DataError for too few clusters.

    `seed` deals the clusters. Recipes and their own seeds are compared on the same folds.
    """
    clusters = _clusters(pool)
    names = sorted(set(clusters.values()))
    if len(names) < count:
        raise DataError(f"The data has {len(names)} clusters of pages and methods, which make no {count} folds.")
    fold_of = _deal(pool, clusters, np.random.default_rng(seed).permutation(names).tolist(), count)
    return [
        _fold(pool, f"fold-{n}", {page for page, cluster in clusters.items() if fold_of[cluster] == n})
        for n in range(count)
    ]


def without_family(pool: FacePool, family: str) -> Fold:
    """The pages with fakes of a family are tested, and it is not trained on; DataError where there is none of it."""
    of = (pool.families == family) & pool.fake & (pool.splits == TRAIN)
    if not of.any():
        known = ", ".join(sorted(set(pool.families[pool.fake].tolist()) - {""}))
        raise DataError(f"No fake of the family '{family}' trains; there are {known or 'none'}.")
    fold = _fold(pool, f"without-{family}", set(pool.pages[of].tolist()))
    return replace(fold, test=fold.test & (~pool.fake | (pool.families == family)))


def run_folds(
    pool: FacePool,
    folds: Sequence[Fold],
    out: Path,
    seed: int,
    *,
    train: Callable[[FacePool, Path], Scoring],
    report: Callable[[str], None],
) -> dict[str, Any]:
    """Train each fold into a folder of `out` by `train`, which gives what scores; the report, which is also written.

    Folds that were scored before are not trained again.
    """
    rows: list[Row] = []
    for fold in folds:
        scores = out / fold.name / SCORES
        if not scores.is_file():
            scored = train(pool.only(fold.train | (pool.splits == VALIDATION)), out / fold.name)
            own = [
                {"fold": fold.name, **row}
                for chosen in (fold.test, (pool.splits == VALIDATION) & (pool.families != ""))
                for row in scored(pool, np.flatnonzero(chosen).tolist())
            ]
            _write(scores, own)
        with scores.open(newline="", encoding="utf-8") as handle:
            rows += csv.DictReader(handle)
        report(f"{fold.name}: {_line([row for row in rows if row['fold'] == fold.name])}")
    summary = fold_report(rows, seed)
    _write(out / SCORES, rows)
    (out / REPORT).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def fold_report(rows: Sequence[Row], seed: int) -> dict[str, Any]:
    """Figures of the tested files, all and by fold, family and method; of the validation split, means over folds."""
    tested = [row for row in rows if row["split"] == TRAIN]
    report = report_of(tested, _EVEN, seed=seed)
    aucs = [_auc([r for r in rows if r["fold"] == fold and r["split"] == VALIDATION]) for fold in _names(rows)]
    known = [auc for auc in aucs if auc is not None]
    return {**report, "validation_auc": float(np.mean(known)) if known else None}


def scoring_of(network: Any) -> Scoring:
    """What scores faces by a network, all their crops."""
    size = int(network.input_shape[1])

    def score(pool: FacePool, chosen: Sequence[int]) -> list[Row]:
        def logits(indices: Sequence[int]) -> Float32Array:
            crops = [crop for n in indices for crop in pool.pictures.crops(int(pool.numbers[n]))]
            return scores_of(network, np.stack([network_input(crop, size) for crop in crops]))

        return score_files(pool, chosen, logits)

    return score


def score_files(pool: FacePool, chosen: Iterable[int], logits: Callable[[list[int]], Float32Array]) -> list[Row]:
    """A row for each file of the faces `chosen`: the median of what `logits` gives for them, as a probability."""
    by_file: dict[int, list[int]] = defaultdict(list)
    for index in chosen:
        by_file[int(pool.files[index])].append(int(index))
    rows = []
    for indices in by_file.values():
        first = indices[0]
        rows.append(
            {
                "file": pool.pictures.name(int(pool.numbers[first])),
                "label": "fake" if pool.fake[first] else "real",
                "split": str(pool.splits[first]),
                "family": str(pool.families[first]),
                "method": str(pool.sources[first]),
                "page": str(pool.pages[first]),
                "group": "+".join(pool.groups[first]),
                "fake_probability": f"{1 / (1 + np.exp(-np.median(logits(indices)))):.6f}",
            }
        )
    return rows


def _clusters(pool: FacePool) -> dict[str, str]:
    """Of each page with a family to train on, a page that stands for all that are linked with it by a method."""
    parent: dict[str, str] = {}

    def root(page: str) -> str:
        while parent.setdefault(page, page) != page:
            page = parent[page]
        return page

    first_of: dict[str, str] = {}
    for n in np.flatnonzero((pool.splits == TRAIN) & (pool.families != "")):
        page = root(str(pool.pages[n]))
        if pool.fake[n]:
            parent[page] = root(first_of.setdefault(str(pool.sources[n]), page))
    return {page: root(page) for page in parent}


def _deal(pool: FacePool, clusters: dict[str, str], shuffled: Sequence[str], count: int) -> dict[str, int]:
    """A fold for each cluster, so that every family, and the real files, are spread over folds as evenly as can be."""
    files: dict[str, Counter[str]] = defaultdict(Counter)
    seen = set()
    for n in np.flatnonzero((pool.splits == TRAIN) & (pool.families != "")):
        if int(pool.files[n]) not in seen:
            seen.add(int(pool.files[n]))
            files[clusters[str(pool.pages[n])]][str(pool.families[n])] += 1
    total = sum(files.values(), Counter())
    loads: list[Counter[str]] = [Counter() for _ in range(count)]
    dealt = {}
    for cluster in sorted(shuffled, key=lambda c: -files[c].total()):
        fold = min(
            range(count),
            key=lambda n: sum(share * loads[n][family] / total[family] for family, share in files[cluster].items()),
        )
        loads[fold] += files[cluster]
        dealt[cluster] = fold
    return dealt


def _fold(pool: FacePool, name: str, pages: set[str]) -> Fold:
    trains = pool.splits == TRAIN
    test = trains & np.isin(pool.pages, sorted(pages)) & (pool.families != "")
    methods = set(pool.sources[test & pool.fake].tolist())
    people = {group for n in np.flatnonzero(test) for group in pool.groups[n]}
    known = np.array([not people.isdisjoint(groups) for groups in pool.groups], bool)
    return Fold(name, trains & ~test & ~known & ~(pool.fake & np.isin(pool.sources, sorted(methods))), test)


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["fold"] for row in rows))


def _auc(rows: Sequence[Row]) -> float | None:
    auc: float | None = figures(rows, _EVEN, 1, 0)["auc"] if rows else None
    return auc


def _line(rows: Sequence[Row]) -> str:
    tested = [row for row in rows if row["split"] == TRAIN]
    reals = [row for row in tested if row["label"] == "real"]
    families = sorted({row["family"] for row in tested if row["label"] == "fake"})
    parts = {"all": _auc(tested)}
    parts |= {f: _auc([*reals, *(r for r in tested if r["family"] == f and r["label"] == "fake")]) for f in families}
    parts["validation split"] = _auc([row for row in rows if row["split"] == VALIDATION])
    return "AUC " + ", ".join(f"{name} {auc:.3f}" for name, auc in parts.items() if auc is not None)


def _write(path: Path, rows: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
