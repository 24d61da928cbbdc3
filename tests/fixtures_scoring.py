"""A stand-in for the shipped model, for tests that need a network but not its verdicts.

Converting needs TensorFlow, which takes long to start: the folder is kept in pytest's cache, under the hash of its
recipe, and made in a process of its own, so that no other test runs beside TensorFlow.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

_RECIPE = """
import os, sys
from pathlib import Path
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
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
"""


@pytest.fixture(scope="session")
def tiny_model(pytestconfig: pytest.Config) -> Path:
    """Folder of a random network with 64 px input, as model.tflite, model.keras and card.json; do not change it."""
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("needs TensorFlow to make a model: pip install dfd[trainer]")
    cache = Path(str(pytestconfig.cache.mkdir("tiny_model")))  # type: ignore[union-attr]
    folder = cache / hashlib.sha256(_RECIPE.encode()).hexdigest()[:16]
    if not (folder / "card.json").exists():
        with tempfile.TemporaryDirectory(dir=cache) as draft:  # renamed when whole: test runs may meet here
            made = subprocess.run([sys.executable, "-c", _RECIPE, draft], capture_output=True, text=True, check=False)
            assert made.returncode == 0, made.stderr[-2000:]
            shutil.copytree(draft, f"{draft}-whole")
        with contextlib.suppress(OSError):  # another run was first
            Path(f"{draft}-whole").rename(folder)
        shutil.rmtree(f"{draft}-whole", ignore_errors=True)
    return folder
