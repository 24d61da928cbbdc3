"""The dense GAN (Goodfellow et al., 2014, arXiv:1406.2661) of the work that dfd grew from, layer by layer as it was.

It learns little of faces: that is why `conv` exists. The discriminator flattens its input first, which the original did
not: a dense layer on a picture acts on the channels of each pixel alone, and ends in one answer a pixel.
"""

from __future__ import annotations

import math

import keras
from keras import layers

LATENT = 100
_SLOPE = 0.2  # of LeakyReLU below 0


def build_generator(latent: int = LATENT, shape: tuple[int, ...] = (64, 64, 3)) -> keras.Model:
    """Noise float32 (B, latent) to pictures float32 (B, *shape) in -1..1."""
    return keras.Sequential(
        [
            keras.Input((latent,), name="noise"),
            layers.Dense(64, name="dense_64"),
            layers.LeakyReLU(_SLOPE, name="leaky_64"),
            layers.Dense(128, name="dense_128"),
            layers.LeakyReLU(_SLOPE, name="leaky_128"),
            layers.Dense(math.prod(shape), activation="tanh", name="pixels"),
            layers.Reshape(shape, name="picture"),
        ],
        name="mlp_generator",
    )


def build_discriminator(shape: tuple[int, ...] = (64, 64, 3)) -> keras.Model:
    """Pictures float32 (B, *shape) in -1..1 to the probability float32 (B, 1) of being real."""
    return keras.Sequential(
        [
            keras.Input(shape, name="picture"),
            layers.Flatten(name="flatten"),
            layers.Dense(128, name="dense_128"),
            layers.LeakyReLU(_SLOPE, name="leaky_128"),
            layers.Dense(64, name="dense_64"),
            layers.LeakyReLU(_SLOPE, name="leaky_64"),
            layers.Dense(1, activation="sigmoid", name="real"),
        ],
        name="mlp_discriminator",
    )


def build_gan(generator: keras.Model, discriminator: keras.Model) -> keras.Model:
    """Noise through the generator and the discriminator, which is frozen in this model."""
    discriminator.trainable = False
    noise = keras.Input(generator.input_shape[1:], name="noise")
    return keras.Model(noise, discriminator(generator(noise)), name="gan")
