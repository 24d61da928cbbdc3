"""Networks as training keeps them: loading, saving, and the average of their weights."""

from __future__ import annotations

import os
from pathlib import Path

import keras

from dfd_core.errors import DataError
from trainer.data.storage import disk_errors
from trainer.networks.keras_patches import OPTIMIZERS, averages_of
from trainer.networks.one_cycle import OneCycle


def load_network(path: Path) -> keras.Model:
    """A network that a run saved, under whatever backend; DataError where the file is damaged."""
    try:
        return keras.models.load_model(path, custom_objects={**OPTIMIZERS, "OneCycle": OneCycle})
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = str(error).splitlines()[0]
        raise DataError(f"{path} cannot be read ({why}): delete it to start anew, or take another --out.") from None


def save(model: keras.Model, path: Path) -> None:
    """Write the model beside `path` first, so that a kill never leaves half a file; DataError for a full disk."""
    part = path.with_name(f".{path.name}.part.keras")
    with disk_errors(path):
        model.save(part)
        os.replace(part, path)


def averaged_weights(model: keras.Model) -> keras.Model:
    """A copy of the trained model, without optimizer, that holds the exponential moving average of the weights."""
    copy = keras.models.clone_model(model)
    copy.run_eagerly = True  # it answers for a few batches: tracing a graph would take longer
    copy.set_weights(model.get_weights())
    own = dict(zip((id(v) for v in model.weights), copy.weights, strict=True))
    for variable, average in averages_of(model):
        own[id(variable)].assign(average)
    return copy
