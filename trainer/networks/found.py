"""The networks that `dfd search` made: how they are loaded, and how they serve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import autokeras as ak
import keras
import numpy as np

from dfd_core.errors import DataError
from dfd_core.models.fuse import FuseModalities
from trainer.networks.weights import trusted

BEST, LEGACY, PLOT = "best_model.keras", "best_model.h5", "best_model.png"


def as_detector(model: keras.Model) -> keras.Model:
    """A found network as dfd serves it: float32 (B, S, S, 3) RGB in 0..255 to `logit` float32 (B, 1).

    It has none of AutoKeras's layers, and stops before the sigmoid, or softmax of two classes, that `model` ends with.
    """
    image = keras.Input(model.input_shape[1:], name="image", dtype="float32")
    copy = keras.models.clone_model(model, input_tensors=_like(model.input, image), clone_function=_own_layer)
    copy.set_weights(model.get_weights())
    for layer in copy.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # set_weights leaves what it computes from its weights as it was
    score = copy.layers[-1].input
    difference = np.array([[1.0]] if score.shape[-1] == 1 else [[-1.0], [1.0]], np.float32)
    logit = keras.layers.Dense(1, use_bias=False, name="logit")
    detector = keras.Model(copy.input, logit(score), name="found_detector")
    logit.set_weights([difference])
    return detector


def load_best(run: Path) -> keras.Model:
    """The best network of a search: of the folder `run`, or of one of its model files.

    DataError unless the file's sha256 stands in the card.json beside it.
    """
    path = run if run.is_file() else run / BEST
    if not path.is_file():
        raise DataError(f"{run} has no {BEST} yet: let dfd search come to its end.")
    objects = {**ak.CUSTOM_OBJECTS, "FuseModalities": FuseModalities}
    return keras.models.load_model(trusted(path), custom_objects=objects, compile=False)


def _own_layer(layer: Any) -> Any:
    """The layer again, or nothing in place of AutoKeras's cast of its input."""
    if isinstance(layer, ak.CastToFloat32):
        return keras.layers.Identity(name=layer.name)
    return layer.__class__.from_config(layer.get_config())


def _like(given: Any, image: Any) -> Any:
    return [image] if isinstance(given, list) else image
