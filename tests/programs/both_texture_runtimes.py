"""Prints the shape of the logits, and how far texture of the two runtimes is apart, as a share: MODEL"""

import sys
from pathlib import Path

import numpy as np

from dfd_core.models.runtime import open_runtime

images = np.random.default_rng(5).integers(0, 255, (11, 64, 64, 3)).astype(np.uint8)
lite, keras = (open_runtime(Path(sys.argv[1]), kind, 1, texture=True) for kind in ("litert", "keras"))
one, other = lite.run(images)["logit"], keras.run(images)["logit"]
assert one.shape == other.shape
print(one.shape, float(np.abs(one - other).max() / np.abs(other).max()))
