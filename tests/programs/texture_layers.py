"""Layers of texture measure the face against its surround."""

import numpy as np

from dfd_core.models.statistics import Discriminant, RegionStatistics

rng = np.random.default_rng(1)
maps = rng.normal(2.0, 1.0, (2, 12, 12, 3)).astype(np.float32)
maps[1, 3:9, 3:9] *= 3  # the face of the second: within .27 of the side from the middle lie rows 3 to 8
found = np.asarray(RegionStatistics()(maps))
assert found.shape == (2, 12), found.shape
assert np.allclose(found[:, :3], maps.mean((1, 2)), atol=1e-4)
assert np.allclose(found[:, 3:6], np.log(maps.std((1, 2)) + 1e-3), atol=1e-4)
assert np.abs(found[0, 6:]).max() < 0.5 and (found[1, 6:9] > 1).all() and (found[1, 9:] > 0.5).all(), found
face, around = maps[0, 3:9, 3:9].reshape(-1, 3), np.ones((12, 12), bool)
around[2:10, 2:10] = False
assert np.allclose(found[0, 6:9], face.mean(0) - maps[0][around].mean(0), atol=1e-4)
alike = np.asarray(RegionStatistics()(np.full((1, 8, 8, 2), 5.0, np.float32)))
assert np.isfinite(alike).all() and np.allclose(alike[0, 4:], 0, atol=1e-3)

layer = Discriminant()
layer.build((None, 2))
layer.set_weights([np.array([1, 2.0]), np.array([0.5, 1]), np.array([[1.0], [10]]), np.array([0.25])])
assert np.allclose(layer(np.array([[3.0, 2], [1, 1000]], np.float32)), [[1.25], [50.25]])  # 998 deviations count as 5
assert not layer.trainable_weights
