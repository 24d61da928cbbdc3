"""Makes tests/data/tiny_model, a random network with 64 px input: python tests/make_tiny_model.py FOLDER

A stand-in for the shipped model, for tests that need a network but not its verdicts. It is committed (32 kB), because
converting needs TensorFlow, which takes long to start.
"""

import sys
from pathlib import Path

import keras
import tensorflow as tf

from dfd_core.models.store import KERAS_FILE, LITERT_FILE, ModelCard, ModelInput, write_card
from dfd_core.types import Thresholds

keras.utils.set_random_seed(7)
layers = keras.layers
images = keras.Input((64, 64, 3), name="images")
x = layers.Rescaling(1 / 127.5, -1)(images)
x = layers.Conv2D(8, 3, strides=4, activation="relu")(x)
x = layers.DepthwiseConv2D(3, activation="relu")(x)
embedding = layers.GlobalAveragePooling2D(name="embedding")(x)
model = keras.Model(images, {"logit": layers.Dense(1, name="logit")(embedding), "embedding": embedding})

folder = Path(sys.argv[1])
model.save(folder / KERAS_FILE)
(folder / LITERT_FILE).write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
write_card(folder, ModelCard("stand-in", "0", input=ModelInput(size=64), thresholds=Thresholds(enter=0.6, exit=0.4)))
