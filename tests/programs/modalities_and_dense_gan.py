"""Derived channels agree with NumPy's; the dense GAN is the original's."""

import keras
import numpy as np

from dfd_core.models.fuse import FuseModalities, widened
from dfd_core.models.modalities import fuse_modalities
from trainer.fakes.gan.mlp import build_discriminator, build_gan, build_generator

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


generator, discriminator = build_generator(100, (28, 28, 3)), build_discriminator((28, 28, 3))


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def units(model):
    return [layer.units for layer in model.layers if hasattr(layer, "units")]


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
