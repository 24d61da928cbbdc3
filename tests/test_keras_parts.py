"""Derived channels: NumPy and Keras agree, a widened convolution answers as before; the dense GAN is the original's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dfd_core.models.modalities import KV, fuse_modalities
from tests.keras_process import KerasProcess


def test_numpy_channels_are_what_they_are_called() -> None:
    images = np.random.default_rng(1).random((2, 5, 12, 10, 3), dtype=np.float32)
    fused = fuse_modalities(images, 3)
    assert fused.shape == (2, 5, 12, 10, 5)
    assert np.array_equal(fused[..., :3], images)
    assert np.allclose(fused[..., 3], images.mean(axis=-1), atol=1e-7)
    inner = sum(KV[y, x] * fused[:, :, y : y + 8, x : x + 6, 3] for y in range(5) for x in range(5))
    assert np.allclose(fused[:, :, 2:-2, 2:-2, 4], inner, atol=1e-6)
    assert (
        np.abs(fuse_modalities(np.full((8, 8, 3), 0.5, np.float32), 3)[..., 4]).max() < 1e-6
    )  # no texture, no residual


@pytest.mark.parametrize("count", [0, 4])
def test_there_are_three_modalities(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 3"):
        fuse_modalities(np.zeros((8, 8, 3), np.float32), count)


@pytest.mark.slow
def test_channels_averaging_and_networks(in_keras: KerasProcess) -> None:
    done = in_keras("modalities_and_dense_gan")
    assert done.ok, done.stderr


@pytest.mark.slow
def test_gans_learn_and_go_on(tmp_path: Path, in_keras: KerasProcess) -> None:
    done = in_keras("gans", tmp_path)
    assert done.ok, done.stderr
