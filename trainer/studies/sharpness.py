"""Does sharpness tell fakes from reals, before sampling and after? AUC of low sharpness on pairs; .5 is the goal.

    python -m trainer.studies.sharpness --data clips.h5 --data portraits.h5 [--recipe clips] [--pairs 600]

A network that can win by it learns cameras and codecs, not manipulations; docs/model-card.md has the figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from dfd_core.checks.appearance import network_input
from trainer.data.face_pool import TRAIN, FacePool, pool_of
from trainer.fakes.degrade import sharpness_of
from trainer.training.recipes import Recipe, recipe_named

REAL = "real"  # the kind of a mixture that holds real-world fakes


def main(words: Sequence[str] | None = None) -> None:
    """Draw pairs and print the AUCs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, action="append")
    parser.add_argument("--recipe", default="clips")
    parser.add_argument("--pairs", type=int, default=600)
    args = parser.parse_args(words)
    pool, recipe = pool_of(args.data), recipe_named(args.recipe)
    pool = pool.only(pool.splits == TRAIN)
    unequal = recipe.but(degradation=replace(recipe.sampling.degradation, equal_sharpness_share=0.0))
    print(f"as they are: {auc(stored(pool, recipe.architecture.size, args.pairs)):.3f}")
    print(f"drawn, sharpness left as it is: {auc(drawn(pool, unequal, args.pairs)):.3f}")
    print(f"drawn as the recipe does: {auc(drawn(pool, recipe, args.pairs)):.3f}")


def stored(pool: FacePool, size: int, pairs: int) -> np.ndarray:
    """Sharpness float64 (N, 2) of real and fake crops as they are stored, drawn evenly over pages and methods."""
    rng = np.random.default_rng(1)
    reals = rng.choice(pool.reals, pairs, p=pool.chances)
    fakes = [pool.draw_fake(REAL, rng) for _ in range(pairs)]
    seen = [
        [network_input(pool.read(int(n), 0.0).image, size) for n in pair] for pair in zip(reals, fakes, strict=True)
    ]
    return np.array([[sharpness_of(image, size) for image in pair] for pair in seen])


def drawn(pool: FacePool, recipe: Recipe, pairs: int) -> np.ndarray:
    """Likewise of pairs as training sees them."""
    rng, sampler = np.random.default_rng(1), recipe.sampler(pool)
    seen = [sampler.pair(REAL, rng) for _ in range(pairs)]
    return np.array([[sharpness_of(image, sampler.size) for image in pair] for pair in seen])


def auc(sharpness: np.ndarray) -> float:
    """Of low sharpness as a sign of a fake."""
    return float(roc_auc_score([0, 1] * len(sharpness), -sharpness.ravel()))


if __name__ == "__main__":
    main()
