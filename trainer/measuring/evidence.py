"""What the checks said of windows whose truth is known, and the fusion, calibration and thresholds fitted to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

from dfd_core.checks.texture import Texture
from dfd_core.errors import DataError
from dfd_core.judging.fusion import DEFAULT_WEIGHTS, Fusion, Quality, logit
from dfd_core.judging.scoring import Scorer, ScoringItem, quality_of
from dfd_core.types import Thresholds
from trainer.fakes.clips import AUTHENTIC
from trainer.measuring.figures import calibration_error

_PRIOR = 0.002  # weight of the pull towards the network alone; of halves over .0005 to .1
CHECKS, TEXTURE = tuple(DEFAULT_WEIGHTS), Texture.name


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
    def of(cls, rows: Iterable[Row]) -> Evidence:
        """DataError where one class could not be scored."""
        kept = tuple(rows)
        kinds = np.array([row.kind for row in kept])
        labels = (kinds != AUTHENTIC).astype(np.int8)
        if len(set(labels.tolist())) < 2:
            raise DataError("Of one class no clip could be scored: give --data with larger faces, or more --clips.")
        clips = np.unique([row.clip for row in kept], return_inverse=True)[1]
        return cls(kept, clips, kinds, labels)

    def only(self, chosen: np.ndarray) -> Evidence:
        """The windows where `chosen` (N,) is true."""
        rows = tuple(row for row, keep in zip(self.rows, chosen, strict=True) if keep)
        return Evidence(rows, self.clips[chosen], self.kinds[chosen], self.labels[chosen])


def fit_fusion(evidence: Evidence, checks: Sequence[str] = CHECKS) -> dict[str, Any]:
    """The section `fusion` of a card: regularised logistic regression, no check and no quality below 0.

    Both classes weigh alike, and within the fakes each kind. What is not there pulls towards the network alone. Only
    `checks` may get a weight. Texture accuses by itself where that tells the kinds of fakes apart
    from real faces at least as well (mean AUC) as when it is one voice of all.
    """
    sections = [_fitted(evidence, checks, ())]
    if TEXTURE in checks and any(row.scores.get(TEXTURE) is not None for row in evidence.rows):
        sections.append(_fitted(evidence, checks, (TEXTURE,)))
    return max(reversed(sections), key=lambda section: mean_auc(evidence, fused(section, evidence)))


def mean_auc(evidence: Evidence, probabilities: np.ndarray) -> float:
    """Mean over the kinds of fakes of the AUC against all authentic windows."""
    return float(np.mean(list(_auc_by_kind(evidence, probabilities).values())))


def _auc_by_kind(evidence: Evidence, probabilities: np.ndarray) -> dict[str, float]:
    reals = evidence.labels == 0
    chosen = {str(kind): reals | (evidence.kinds == kind) for kind in sorted(set(evidence.kinds[~reals]))}
    return {kind: float(roc_auc_score(evidence.labels[of], probabilities[of])) for kind, of in chosen.items()}


def _fitted(evidence: Evidence, checks: Sequence[str], alone: Sequence[str]) -> dict[str, Any]:
    """The section of the best fit where the checks `alone` have a bias of their own."""
    logits = np.array([[logit(_known(row.scores.get(check))) for check in CHECKS] for row in evidence.rows])
    octaves = np.array([row.quality.octaves for row in evidence.rows])
    n, weights, own = len(CHECKS), _weights(evidence), [CHECKS.index(check) for check in alone]
    start = np.array([*DEFAULT_WEIGHTS.values(), 0.0, 3.0, 0.0, 0.0, 0.0, *(0.0 for _ in own)])
    others = [k for k in range(n) if k not in own]

    def loss(values: np.ndarray) -> float:
        reliability = 1 / (1 + np.exp(-(values[n + 1] + octaves @ values[n + 2 : n + 5])))
        told = reliability[:, None] * logits * values[:n]
        total = values[n] + told[:, others].sum(axis=1)
        for k, bias in zip(own, values[n + 5 :], strict=True):
            total = np.logaddexp(total, told[:, k] + bias)
        signs = 2.0 * evidence.labels - 1
        return float(weights @ np.logaddexp(0, -signs * total) + _PRIOR * ((values - start) ** 2).sum())

    bounds = [*((0, 3 if check in checks else 0) for check in CHECKS), (-5, 5), (-4, 6), (0, 4), (0, 4), (0, 4)]
    bounds += [(-5, 5) for _ in own]
    best = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x.round(3).tolist()
    reliability = dict(zip(("offset", "width", "sharpness", "compression"), best[n + 1 : n + 5], strict=True))
    section = {**dict(zip(CHECKS, best[:n], strict=True)), "bias": best[n], "reliability": reliability}
    biases = {"own_bias": dict(zip(alone, best[n + 5 :], strict=True))} if alone else {}
    return section | biases


def fused(section: dict[str, Any], evidence: Evidence) -> np.ndarray:
    """Fake probabilities (N,) as serving would give them."""
    fusion = Fusion.from_card(section)
    return np.array([fusion.probability(row.scores, row.quality) for row in evidence.rows], float)


def thresholds_of(probabilities: np.ndarray, evidence: Evidence, shares: tuple[float, float]) -> Thresholds:
    """Those that these shares of the authentic windows exceed, to enter and to leave an alarm.

    An alarm never begins below even odds.
    """
    enter, exit_ = (float(np.quantile(probabilities[evidence.labels == 0], 1 - share)) for share in shares)
    enter = max(enter, 0.5)
    return Thresholds(enter=round(enter, 3), exit=round(min(max(exit_, 0.4), enter), 3))


def figures_of(evidence: Evidence, seed: int, checks: Sequence[str] = CHECKS) -> dict[str, Any]:
    """AUC and calibration error on clips that were not fitted on: of each half, by what the other half gave.

    Beside them those of the network alone.
    """
    half = np.random.default_rng(seed).permutation(evidence.clips.max() + 1)[evidence.clips] % 2 == 0
    probabilities = np.empty(len(half))
    for side in (half, ~half):
        probabilities[side] = fused(fit_fusion(evidence.only(~side), checks), evidence.only(side))
    alone = fused({"appearance": 1.0}, evidence)
    by_check = {check: np.array([_known(row.scores.get(check)) for row in evidence.rows]) for check in CHECKS}
    return {
        "windows": len(half),
        "clips": len(set(evidence.clips.tolist())),
        "auc": round(float(roc_auc_score(evidence.labels, probabilities)), 3),
        "auc_by_kind": {kind: round(auc, 3) for kind, auc in _auc_by_kind(evidence, probabilities).items()},
        "auc_by_check": {name: round(float(roc_auc_score(evidence.labels, of)), 3) for name, of in by_check.items()},
        "calibration_error": round(calibration_error(evidence.labels, probabilities), 3),
        "calibration_error_of_the_network": round(calibration_error(evidence.labels, alone), 3),
    }


def describe(section: dict[str, Any]) -> str:
    """The weights in one line."""
    checks = ", ".join(f"{name} {section[name]}" for name in CHECKS)
    quality = ", ".join(f"{name} {value}" for name, value in section["reliability"].items())
    own = "".join(f", {name} by itself with {value}" for name, value in section.get("own_bias", {}).items())
    return f"weights {checks}, bias {section['bias']}{own}; reliability {quality}"


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


def rows_of(clip: int, kind: str, windows: Sequence[ScoringItem], scorer: Scorer) -> list[Row]:
    """The windows of a clip that can be scored, all faces of it, each with its checks and its quality."""
    places = [n for n, name in enumerate(scorer.columns) if name.startswith("quality.")]
    rows, measured = [], {}
    for window, (result, features) in zip(windows, scorer.score(windows), strict=True):
        measured[id(window[-1])] = features
        for score in result.scores:
            if score.fake_probability is None:
                continue
            own = [measured[id(s)].tracks[score.track] for s in window if score.track in measured[id(s)].tracks]
            columns = np.concatenate(own)[:, places]
            rows.append(Row(clip, kind, score.checks, quality_of(columns[np.isfinite(columns[:, -1])])))
    return rows
