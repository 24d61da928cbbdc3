"""Training samples: a real face and a fake one, cut as in serving and degraded alike."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import cv2
import numpy as np

from dfd_core.checks.appearance import network_input
from dfd_core.errors import DataError
from dfd_core.types import Float32Array, UInt8Array
from trainer.data.face_pool import FacePool
from trainer.fakes.crops import CROP_CAP
from trainer.fakes.degrade import degrade, equally_sharp
from trainer.fakes.kinds import IN_PAIRS, MADE, fake_named
from trainer.fakes.real_faces import RealFaces
from trainer.fakes.sampling import Sampling


class Sampler:
    """Draws pairs and batches from a pool, for a network that looks at `size` px."""

    def __init__(self, pool: FacePool, sampling: Sampling, size: int) -> None:
        self.pool, self.sampling, self.size = pool, sampling, size
        self._faces = RealFaces(pool, sampling.capped, sampling.parts)

    @cached_property
    def shares(self) -> dict[str, float]:
        """Shares of the kinds of fakes that the pool can give; DataError where it can give none of the recipe's."""
        return shares_of(self.pool, self.sampling.fakes)

    def pair(self, kind: str, rng: np.random.Generator, index: int | None = None) -> UInt8Array:
        """Uint8 (2, S, S, 3) RGB: a real face and a fake of `kind`, cut and degraded alike.

        One that is made on the way is made of face `index` of the pool, or of a random one; for other kinds `index` is
        the fake's.
        """
        fake, plan = fake_named(kind), self.sampling.degradation
        untouched = rng.random() < plan.untouched_share
        side = CROP_CAP if untouched else self._side(rng, fake.least_side_px)
        pair = fake.pair(self._faces, side, rng, index)
        if not fake.made and rng.random() < plan.equal_sharpness_share:
            pair = equally_sharp(pair, self.size)
        return self._as_seen(pair if untouched else degrade(pair, plan, rng))

    def real(self, rng: np.random.Generator, index: int) -> UInt8Array:
        """Uint8 (S, S, 3) RGB: real face `index`, cut and degraded as those of a pair are."""
        crop = self._faces.crop(self._side(rng), rng, index)
        return np.asarray(self._as_seen(degrade([crop], self.sampling.degradation, rng))[0], np.uint8)

    def batch(self, seed: int, step: int) -> tuple[UInt8Array, Float32Array]:
        """Batch `step` of a run: images uint8 (2 P, S, S, 3), labels float32 (2 P, 1) with 1 for fake; P pairs a step.

        It depends on `seed` and `step` alone, so that a resumed run goes on with the batches that it would have seen.
        """
        draws = self.sampling.draws
        images = np.concatenate([self._draw(seed, step * draws + n) for n in range(draws)])
        return images, labels_of(len(images) // 2)

    def _draw(self, seed: int, number: int) -> UInt8Array:
        rng, pairs, reals = np.random.default_rng([seed, number]), self.sampling.pairs, self.pool.reals
        kinds = rng.choice(list(self.shares), pairs, p=list(self.shares.values()))
        several = len(reals) >= pairs  # then no face is seen twice in a draw
        chosen = rng.choice(reals, pairs, replace=not several, p=self._faces.chances)
        drawn = [
            self.pair(str(kind), rng, int(index) if kind in MADE else None)
            for kind, index in zip(kinds, chosen, strict=True)
        ]
        return np.concatenate(drawn)

    def _side(self, rng: np.random.Generator, least: int = 0) -> int:
        """Native side of a crop, px."""
        low, high = self.sampling.degradation.face_px
        low = min(max(low, least), high)
        return round(float(np.exp(rng.uniform(np.log(low), np.log(high)))))

    def _as_seen(self, crops: list[UInt8Array]) -> UInt8Array:
        """Crops of one side as the network sees them, uint8 (N, S, S, 3)."""
        if crops[0].shape[0] > CROP_CAP:
            crops = [
                np.asarray(cv2.resize(c, (CROP_CAP, CROP_CAP), interpolation=cv2.INTER_AREA), np.uint8) for c in crops
            ]
        return np.stack([network_input(crop, self.size) for crop in crops])


def labels_of(pairs: int) -> Float32Array:
    """Float32 (2 P, 1): 0 and 1 in turn."""
    return np.tile(np.array([[0.0], [1.0]], np.float32), (pairs, 1))


def shares_of(pool: FacePool, fakes: Mapping[str, float]) -> dict[str, float]:
    """Shares, in sum 1, of those kinds of `fakes` that the pool can give; DataError where it can give none."""
    wanted = [kind for kind in IN_PAIRS if fakes.get(kind.name, 0.0) > 0]
    shares = {kind.name: fakes[kind.name] for kind in wanted if kind.there(pool)}
    if not shares:
        names = " or ".join(kind.name.replace("_", "-") for kind in wanted)
        raise DataError(f"The recipe trains on {names} fakes, and the data has none: give --data that has some.")
    return {kind: share / sum(shares.values()) for kind, share in shares.items()}
