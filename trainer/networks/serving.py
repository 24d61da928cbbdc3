"""Trained networks as they serve: averaged weights in float32, at the size of serving."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras

from dfd_core.errors import DataError
from trainer.networks.architecture import Architecture
from trainer.networks.backbones import build_detector
from trainer.networks.trained import averaged_weights, load_network
from trainer.networks.weights import BEST, CHECKPOINT, network_file, take_mean


def serving_model(run: Path, checkpoint: bool, design: Architecture, mean_with: Sequence[Path]) -> keras.Model:
    """The averaged weights, or the mean of them and others, in a float32 network, whatever they were trained in."""
    path = run / (CHECKPOINT if checkpoint else BEST)
    if not path.is_file():
        raise DataError(f"{run} has no {path.name}: train it first, or give --checkpoint for one that has not ended.")
    trained = load_network(path)
    if checkpoint:
        trained = averaged_weights(trained)
    take_mean(trained, [load_network(network_file(folder)) for folder in mean_with])
    keras.mixed_precision.set_global_policy("float32")
    return as_served(trained, design)


def as_served(trained: keras.Model, design: Architecture) -> keras.Model:
    """The weights of `trained` in a network with the input size at which it serves, float32."""
    model = build_detector(
        size=design.serving_size or int(trained.input_shape[1]),
        pretrained=False,
        num_modalities=design.modalities,
        backbone=design.backbone,
    )
    model.set_weights(trained.get_weights())
    return model
