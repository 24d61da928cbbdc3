"""Held-out faces as training sees them: pairs to validate with, and real ones that set the thresholds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dfd_core.types import Float32Array, UInt8Array
from trainer.fakes.kinds import MADE
from trainer.fakes.sampler import Sampler, labels_of

_DRAWS = 16  # of each held-out real face: thresholds lie in the tail of their scores, where few are
_MOST_REALS = 300  # of these
_MOST_PAIRS = 1200  # held out
_SEED = 20_000_000  # far from any training step, so that no validation draw repeats one


def validation_set(sampler: Sampler, steps: int, seed: int) -> tuple[UInt8Array, Float32Array]:
    """Pairs of held-out faces, always the same: uint8 (2 N, S, S, 3) and labels float32 (2 N, 1).

    N is at most eight times the `steps` of an epoch, so that short runs validate shortly.
    """
    rng, pool = np.random.default_rng([seed, _SEED]), sampler.pool
    most = min(len(pool), 8 * steps, _MOST_PAIRS)
    pairs = []
    for kind, share in sampler.shares.items():
        rows = pool.reals if kind in MADE else pool.fakes[kind]
        for index in _spread(rows, max(1, round(share * most))):
            pairs.append(sampler.pair(kind, rng, int(index)))
    return np.concatenate(pairs), labels_of(len(pairs))


def real_set(sampler: Sampler, steps: int, seed: int) -> UInt8Array:
    """Held-out real faces, each degraded in several ways, always the same: uint8 (N, S, S, 3)."""
    rng = np.random.default_rng([seed, _SEED, 1])
    rows = _spread(sampler.pool.reals, min(_MOST_REALS, 8 * steps))
    return np.stack([sampler.real(rng, int(row)) for _ in range(_DRAWS) for row in rows])


def _spread(rows: npt.NDArray[np.intp], most: int) -> npt.NDArray[np.intp]:
    """At most that many of `rows` (N,), from all over."""
    return np.asarray(rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)])
