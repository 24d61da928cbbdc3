"""Figures of scored files: AUC with a bootstrap interval, average precision, equal error rate, groups, ROC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from dfd_core.names import one_line

SCORES, REPORT = "scores.csv", "report.json"
GROUP_COLUMNS = ("dataset", "family", "method", "compression", "fold")
_BINS = 10  # of the calibration error
_MOST_CURVES = 8  # groups in the picture besides the whole
Row = Mapping[str, str]
Labels = npt.NDArray[np.int8]
Scores = npt.NDArray[np.float64]


def report_of(rows: Sequence[Row], threshold: float, resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Everything of report.json that follows from the scored rows; `threshold` is the shipped one."""
    groups = {
        column: _groups(rows, column, threshold, resamples, seed) for column in GROUP_COLUMNS if column in rows[0]
    }
    whole = {**figures(rows, threshold, resamples, seed), **false_alarms(rows)}
    return {"seed": seed, "bootstrap": resamples, **whole, "groups": groups}


def figures(rows: Sequence[Row], threshold: float, resamples: int, seed: int) -> dict[str, Any]:
    """Video-level figures of `rows`; those that need both classes are None where one is missing."""
    labels, scores = labels_and_scores(rows)
    two = 0 < int(labels.sum()) < len(labels)
    return {
        "files": len(rows),
        "scored": len(labels),
        "reals": int((labels == 0).sum()),
        "fakes": int((labels == 1).sum()),
        "auc": float(roc_auc_score(labels, scores)) if two else None,
        "auc_95": bootstrap_auc(labels, scores, resamples, seed) if two else None,
        "average_precision": float(average_precision_score(labels, scores)) if two else None,
        "equal_error_rate": equal_error_rate(labels, scores) if two else None,
        "threshold": threshold,
        "accuracy": float(((scores >= threshold) == labels).mean()) if len(labels) else None,
        "recall": float((scores[labels == 1] >= threshold).mean()) if (labels == 1).any() else None,
        "accused_reals": int((scores[labels == 0] >= threshold).sum()),
        "calibration_error": calibration_error(labels, scores) if len(labels) else None,
        "mean_real": float(scores[labels == 0].mean()) if (labels == 0).any() else None,
        "mean_fake": float(scores[labels == 1].mean()) if (labels == 1).any() else None,
    }


def false_alarms(rows: Sequence[Row]) -> dict[str, Any]:
    """Alarms of the real files, by the columns alarms and seconds, and for each hour of them; nothing without those."""
    reals = [row for row in rows if row["label"] == "real" and row.get("seconds")]
    hours = sum(float(row["seconds"]) for row in reals) / 3600
    if not hours:
        return {}
    alarms = sum(int(row["alarms"]) for row in reals)
    return {"false_alarms": alarms, "real_hours": hours, "false_alarms_per_hour": alarms / hours}


def labels_and_scores(rows: Sequence[Row]) -> tuple[Labels, Scores]:
    """Labels (1 = fake) and probabilities of the rows that have one."""
    known = [(row["label"] == "fake", float(row["fake_probability"])) for row in rows if row["fake_probability"]]
    return np.array([fake for fake, _ in known], np.int8), np.array([score for _, score in known], np.float64)


def bootstrap_auc(labels: Labels, scores: Scores, resamples: int, seed: int) -> list[float]:
    """95 % percentile interval of the AUC over resamples of files, drawn within each class (Efron and Tibshirani)."""
    rng = np.random.default_rng(seed)
    fakes, reals = scores[labels == 1], scores[labels == 0]
    wins = (fakes[:, None] > reals[None]) + 0.5 * (fakes[:, None] == reals[None])  # AUC is the mean of this
    draws = [
        wins[np.ix_(rng.integers(0, len(fakes), len(fakes)), rng.integers(0, len(reals), len(reals)))].mean()
        for _ in range(resamples)
    ]
    return [float(bound) for bound in np.quantile(draws, [0.025, 0.975])]


def equal_error_rate(labels: Labels, scores: Scores) -> float:
    """Where the share of reals called fake meets that of fakes called real, between points of the ROC linearly."""
    false_alarms, hits, _ = roc_curve(labels, scores)
    misses = 1 - hits
    after = int(np.argmax(false_alarms >= misses))
    gap = false_alarms - misses
    part = gap[after] / (gap[after] - gap[after - 1])
    return float(false_alarms[after] - part * (false_alarms[after] - false_alarms[after - 1]))


def calibration_error(labels: Labels, scores: Scores) -> float:
    """Expected calibration error over `_BINS` bins of equal width (Guo et al., ICML 2017, arXiv:1706.04599), 0 to 1.

    Both classes weigh alike, whatever their share of the files: a collection's mixture says nothing of a stream's.
    """
    weights = np.where(labels == 1, 1 / max(1, (labels == 1).sum()), 1 / max(1, (labels == 0).sum()))
    weights /= weights.sum()
    bins = np.minimum((scores * _BINS).astype(int), _BINS - 1)
    gaps = [abs(float((weights * (labels - scores))[bins == n].sum())) for n in range(_BINS)]
    return sum(gaps)


def draw_roc(path: Path, rows: Sequence[Row], report: Mapping[str, Any]) -> None:
    """The ROC of the whole and of each method's fakes against all reals, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.8", linestyle="--")
    column = next((c for c in ("method", "dataset", "compression") if c in report["groups"]), "")
    groups = {n: g["against_all_reals"] for n, g in report["groups"].get(column, {}).items()}
    names = [n for n, g in groups.items() if g["auc"] is not None]
    for name in sorted(names, key=lambda n: -groups[n]["fakes"])[:_MOST_CURVES]:
        _curve(axes, [r for r in rows if r["label"] == "real" or r[column] == name], name, 1.0)
    if report["auc"] is not None:
        _curve(axes, rows, "all", 2.5)
        axes.legend(loc="lower right", fontsize="small")
    axes.set(
        xlabel="false alarms (reals called fake)", ylabel="hits (fakes called fake)", title=_words(report["model"])
    )
    FigureCanvasAgg(figure).print_png(str(path))


def _groups(rows: Sequence[Row], column: str, threshold: float, resamples: int, seed: int) -> dict[str, Any]:
    """For each value of `column` its fakes against its own reals and against all reals."""
    reals = [row for row in rows if row["label"] == "real"]
    groups = {}
    for name in sorted({row[column] for row in rows}):
        own = [row for row in rows if row[column] == name]
        fakes = [row for row in own if row["label"] == "fake"]
        groups[name] = {
            "against_own_reals": figures(own, threshold, resamples, seed),
            "against_all_reals": figures(fakes + reals, threshold, resamples, seed),
        }
    return groups


def _curve(axes: Any, rows: Sequence[Row], name: str, width: float) -> None:
    labels, scores = labels_and_scores(rows)
    false_alarms, hits, _ = roc_curve(labels, scores)
    axes.plot(false_alarms, hits, linewidth=width, label=_words(f"{name} ({roc_auc_score(labels, scores):.3f})"))


def _words(text: str) -> str:
    """`text` as Matplotlib shows it: no dollar begins a formula, and no underscore hides a curve from the legend."""
    return one_line(f" {text}" if text.startswith("_") else text).replace("$", r"\$")
