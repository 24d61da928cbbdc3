"""Prints how far the two runtimes are apart: MODEL"""

import sys
from pathlib import Path

import numpy as np

from dfd_core.models.runtime import open_runtime

images = np.random.default_rng(5).integers(0, 255, (11, 64, 64, 3)).astype(np.uint8)
lite, keras = (open_runtime(Path(sys.argv[1]), kind, 1) for kind in ("litert", "keras"))
one, other = lite.run(images), keras.run(images)
assert set(one) == set(other) == {"logit", "embedding"}, (set(one), set(other))
assert one["logit"].shape == (11, 1)
print(max(float(np.abs(one[name] - other[name]).max()) for name in one))
assert len(lite.run(images[:0])["logit"]) == len(keras.run(images[:0])["logit"]) == 0
