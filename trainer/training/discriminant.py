"""Fisher's linear discriminant of statistics, its covariance drawn towards a sphere.

Regularised discriminant analysis (Friedman, JASA 1989): with hundreds of statistics and some eighty methods, the shrunk
covariance is what carries over to methods that were not seen. What is known to say nothing counts as spread within the
classes (nuisance attribute projection, softly: Solomonoff et al., ICASSP 2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dfd_core.errors import DataError
from dfd_core.models.statistics import standardised
from dfd_core.types import Float32Array, Float64Array
from trainer.data.face_pool import FacePool
from trainer.networks.texture import Head

SHRINKAGE = 0.7  # of folds over .3, .5, .6, .7 and .9
NUISANCE = 0.3  # of the trace of the covariance within the classes; of folds over 0, .3, 1, 3 and 10
_LEAST_DEVIATION = 1e-6
_LEAST_FACES = 4  # of a class


def fit_head(statistics: Float32Array, pool: FacePool, nuisance: tuple[Float32Array, Float32Array]) -> Head:
    """The head that tells the fakes of `pool` from its real ones by their statistics (N, D), NaN for none.

    `nuisance`: statistics (M, D) of some crops before and after a change that says nothing of the class.

    Its logit is 0 half-way between the classes, and its deviation over all faces is 1: `dfd fuse` calibrates it.
    `weights_of` says how much each face counts. DataError where too few faces have such statistics.
    """
    known = np.isfinite(statistics[:, 0])
    pool, statistics = pool.only(known), statistics[known]
    if min(pool.fake.sum(), (~pool.fake).sum()) < _LEAST_FACES:
        raise DataError(
            "The data has hardly a film: texture over time needs windows of 4 frames or more (--frames 16)."
        )
    weights = weights_of(pool)
    mean = np.average(statistics, axis=0, weights=weights)
    deviation = np.sqrt(np.average((statistics - mean) ** 2, axis=0, weights=weights)) + _LEAST_DEVIATION
    mean, scale = mean.astype(np.float32), (1 / deviation).astype(np.float32)
    z = standardised(statistics, mean, scale).astype(np.float64)
    centres = [np.average(z[of], axis=0, weights=weights[of]) for of in (~pool.fake, pool.fake)]
    within = np.mean([np.cov(z[of].T, aweights=weights[of]) for of in (~pool.fake, pool.fake)], axis=0)
    within += _spread_of(nuisance, mean, scale) * (NUISANCE * np.trace(within))
    sphere = np.eye(len(within)) * np.trace(within) / len(within)
    direction = np.linalg.solve((1 - SHRINKAGE) * within + SHRINKAGE * sphere, centres[1] - centres[0])
    direction /= np.sqrt(np.cov(z @ direction, aweights=weights)) + _LEAST_DEVIATION
    offset = -float(direction @ (centres[0] + centres[1]) / 2)
    return Head(mean, scale, direction.astype(np.float32), offset)


def logits_of(head: Head, statistics: Float32Array) -> Float32Array:
    """Logits float32 (N,) of statistics (N, D)."""
    return standardised(statistics, head.mean, head.scale) @ head.direction + np.float32(head.offset)


def mean_logits(heads: Sequence[Head], statistics: Float32Array) -> Float32Array:
    """Mean logit float32 (N,) of heads, each of its view's statistics (N, K, D), NaN where a face has no such view."""
    voices = [logits_of(head, statistics[:, n]) for n, head in enumerate(heads)]
    return np.asarray(np.nanmean(voices, axis=0), np.float32)


def joined_logits(voices: Sequence[Sequence[Head]], statistics: Float32Array) -> Float32Array:
    """Logit float32 (N,) of the voices' odds, added up, of statistics (N, K, D)."""
    return np.asarray(np.logaddexp.reduce([mean_logits(heads, statistics) for heads in voices]), np.float32)


def raised(heads: Sequence[Head], statistics: Float32Array, share: float, steepness: float) -> list[Head]:
    """The same voice on another scale, so that the odds of several can be added up.

    Of faces with these statistics (N, K, D) such a share has mean logits above 0, whose deviation is `steepness`.
    """
    logits = mean_logits(heads, statistics)
    shift, factor = float(np.quantile(logits, 1 - share)), steepness / (float(np.std(logits)) + _LEAST_DEVIATION)
    return [
        replace(head, direction=head.direction * np.float32(factor), offset=(head.offset - shift) * factor)
        for head in heads
    ]


def _spread_of(nuisance: tuple[Float32Array, Float32Array], mean: Float32Array, scale: Float32Array) -> Float64Array:
    """Second moments (D, D) of what changes in standardised statistics, of trace 1, or 0 where nothing does."""
    before, after = (standardised(statistics, mean, scale).astype(np.float64) for statistics in nuisance)
    moments = (after - before).T @ (after - before)
    return np.asarray(moments / max(np.trace(moments), _LEAST_DEVIATION))


def weights_of(pool: FacePool) -> Float64Array:
    """Of each face, float64 (N,): half for each class; within it even for methods of fakes and pages of real ones.

    Families of fakes count by the root of their methods. Faces of unknown family, as portraits are, are one page.
    """
    pages = np.where(pool.families == "", "", pool.pages)
    _, own, counts = np.unique(np.where(pool.fake, pool.sources, pages), return_inverse=True, return_counts=True)
    weights = 1 / counts[own]
    for family in np.unique(pool.families[pool.fake]):
        of = pool.fake & (pool.families == family)
        weights[of] /= np.sqrt(weights[of].sum())
    for of in (pool.fake, ~pool.fake):
        weights[of] /= 2 * weights[of].sum()
    return np.asarray(weights, np.float64)
