"""A head finds what tells, and nothing else: SET"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from trainer.data.face_pool import pool_of
from trainer.training.discriminant import fit_head, joined_logits, logits_of, mean_logits, raised, weights_of

pool = pool_of([Path(sys.argv[1])])
weights = weights_of(pool)
assert np.isclose(weights[pool.fake].sum(), 0.5) and np.isclose(weights[~pool.fake].sum(), 0.5)
fewer = replace(
    pool, sources=np.where(pool.fake & (pool.families == "swap"), "one", pool.sources)
)  # one method, and two
alone, two = (weights_of(fewer)[pool.fake & (pool.families == name)].sum() for name in ("swap", "talking-head"))
assert np.isclose(two, np.sqrt(2) * alone), (alone, two)
rng = np.random.default_rng(1)
statistics = rng.normal(0, 1, (len(pool), 40)).astype(np.float32)
statistics[:, 7] += 4 * pool.fake
statistics[:, 3] *= 100  # wide, and says nothing
other = rng.normal(0, 1, (50, 40)).astype(np.float32)
unchanged = other, other
head = fit_head(statistics, pool, unchanged)
logits = logits_of(head, statistics)
assert logits[pool.fake].min() > logits[~pool.fake].max(), logits
assert np.argmax(np.abs(head.direction)) == 7
centres = [np.average(logits[of], weights=weights[of]) for of in (pool.fake, ~pool.fake)]
assert abs(sum(centres)) < 0.2 * (centres[0] - centres[1])  # even odds lie half-way

both = statistics.copy()
both[:, 9] = both[:, 7] + rng.normal(0, 0.5, len(pool))  # tells too, but light moves it as well
lit = other.copy()
lit[:, 9] += rng.normal(0, 3, 50)
plain, proof = (fit_head(both, pool, nuisance) for nuisance in (unchanged, (other, lit)))
moved = [np.std(logits_of(head, lit) - logits_of(head, other)) for head in (plain, proof)]
assert moved[1] < 0.7 * moved[0], moved
logits = logits_of(proof, both)
assert logits[pool.fake].min() > logits[~pool.fake].max()

views = np.stack([statistics, both], axis=1)
voice = [fit_head(views[:, n], pool, unchanged) for n in range(2)]
real = views[~pool.fake]
louder = raised(voice, real, 0.1, 3.0)
said = mean_logits(louder, real)
assert abs((said > 0).mean() - 0.1) < 0.05, said  # one in ten real faces above even odds
assert np.isclose(said.std(), 3.0, rtol=1e-3)
assert np.corrcoef(said, mean_logits(voice, real))[0, 1] > 0.999
assert np.allclose(joined_logits([louder, louder], views), mean_logits(louder, views) + np.log(2), atol=1e-4)
