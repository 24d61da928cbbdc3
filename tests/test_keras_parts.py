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


_LAYERS = """
import keras, numpy as np
from dfd_core.models.fuse import FuseModalities, widened
from dfd_core.models.modalities import fuse_modalities
images = np.random.default_rng(1).random((2, 3, 24, 20, 3), dtype=np.float32)
for count in (1, 2, 3):
    layer = FuseModalities(count)
    for given in (images, images[0]):
        got = keras.ops.convert_to_numpy(layer(given))
        assert got.shape == layer.compute_output_shape(given.shape)
        assert np.abs(got - fuse_modalities(given, count)).max() < 1e-6, count
model = keras.Sequential([keras.Input((24, 20, 3)), FuseModalities(3)])
again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
assert again.output_shape == (None, 24, 20, 5)
plain, wide = keras.layers.Conv2D(4, 3), keras.layers.Conv2D(4, 3)
before = keras.ops.convert_to_numpy(plain(images[0]))
wide.build((None, 24, 20, 5))
kernel, bias = plain.get_weights()
wide.set_weights([widened(kernel, 2), bias])
after = keras.ops.convert_to_numpy(wide(fuse_modalities(images[0], 3)))
assert np.abs(after - before).max() < 1e-5

from trainer.fakes.gan.mlp import build_discriminator, build_gan, build_generator
generator, discriminator = build_generator(100, (28, 28, 3)), build_discriminator((28, 28, 3))
kinds = lambda model: [type(layer).__name__ for layer in model.layers]
units = lambda model: [layer.units for layer in model.layers if hasattr(layer, "units")]
assert kinds(generator) == ["Dense", "LeakyReLU", "Dense", "LeakyReLU", "Dense", "Reshape"]
assert kinds(discriminator) == ["Flatten", "Dense", "LeakyReLU", "Dense", "LeakyReLU", "Dense"]
assert units(generator) == [64, 128, 28 * 28 * 3]
assert units(discriminator) == [128, 64, 1]
assert generator.layers[4].activation is keras.activations.tanh
assert discriminator.layers[-1].activation is keras.activations.sigmoid
assert generator.count_params() == 100 * 64 + 64 + 64 * 128 + 128 + 128 * 2352 + 2352
assert discriminator.count_params() == 2352 * 128 + 128 + 128 * 64 + 64 + 64 + 1
gan = build_gan(generator, discriminator)
assert gan.input_shape == (None, 100) and gan.output_shape == (None, 1)
assert len(gan.trainable_variables) == len(generator.trainable_variables) == 6
"""


_GAN = """
import pathlib, sys
import keras, numpy as np
from dfd_core.cli.main import main
from tests.test_dataset import small_set
from trainer.fakes.gan.conv import PixelShuffle, build_autoencoder
folder = pathlib.Path(sys.argv[1])
data = str(small_set(folder / "set.h5"))
def gan(name, *more):
    fixed = ["--data", data, "--out", str(folder / name), "--batch", "2", "--every", "1", "--size", "64"]
    return main(["gan", *fixed, *more])
def weights(name):
    with np.load(folder / name / "checkpoint.npz") as stored:
        return {key: stored[key] for key in stored.files}
assert gan("mlp", "--kind", "mlp", "--steps", "1") == 0
for decoder in ("transposed", "nearest", "shuffle"):
    assert build_autoencoder(128, decoder).output_shape == (None, 128, 128, 3)
shuffled = PixelShuffle(2)(np.arange(8, dtype=np.float32).reshape(1, 1, 1, 8))
assert keras.ops.convert_to_numpy(shuffled).tolist() == [[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]]
assert gan("shuffle", "--decoder", "shuffle", "--steps", "1") == 0
one = weights("shuffle")
assert gan("shuffle", "--decoder", "shuffle", "--steps", "2") == 0  # goes on
two = weights("shuffle")
assert (one["step"], two["step"]) == (1, 2)
changed = [key for key in one if key != "step" and not np.array_equal(one[key], two[key])]
assert len(changed) > 0.9 * len(one), (len(changed), len(one))  # both networks learn, and their optimizers
assert (folder / "shuffle" / "samples" / "000002.png").stat().st_size > 1000
assert len((folder / "shuffle" / "losses.csv").read_text().splitlines()) == 3
assert "auc_generated" in (folder / "shuffle" / "report.json").read_text()
assert keras.saving.load_model(folder / "shuffle" / "generator.keras").output_shape == (None, 64, 64, 3)
assert gan("mlp", "--steps", "2") == 1  # not the networks that lie there
"""


@pytest.mark.slow
def test_channels_averaging_and_networks(in_keras: KerasProcess) -> None:
    done = in_keras(_LAYERS)
    assert done.ok, done.stderr


@pytest.mark.slow
def test_gans_learn_and_go_on(tmp_path: Path, in_keras: KerasProcess) -> None:
    done = in_keras(_GAN, tmp_path)
    assert done.ok, done.stderr
