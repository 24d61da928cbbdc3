"""The network of the second file is that of the first, with other weights: FIRST SECOND"""

import sys
from pathlib import Path

import numpy as np

from trainer.networks.trained import load_network

first, second = (load_network(Path(path)).get_weights() for path in sys.argv[1:])
assert [weight.shape for weight in first] == [weight.shape for weight in second]
assert any(not np.allclose(one, other) for one, other in zip(first, second, strict=True))
