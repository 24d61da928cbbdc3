"""Trunks of a detector, one file each behind one Protocol, and the detector that is built on any of them.

To add one, write a module with a class of this Protocol and list it in `_backbones`.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

import keras
from keras import layers

from dfd_core.errors import DataError
from dfd_core.models.fuse import FuseModalities
from trainer.networks.architecture import DEFAULT

INPUT_SIZE = 224


class Backbone(Protocol):
    """A convolutional network without its head."""

    name: str

    def normalise(self, image: Any) -> Any:
        """RGB float32 (B, S, S, 3) in 0..255 as the network wants it, shape kept."""
        ...

    def features(self, x: Any) -> Any:
        """Normalised pictures (B, S, S, C), where C is 3 or more, to a map of features (B, h, w, F)."""
        ...

    def load(self, model: keras.Model) -> None:
        """Fill the trunk's layers of `model` with ImageNet weights; DataError where those cannot be had."""
        ...


def build_detector(
    dropout: float = 0.2,
    size: int = INPUT_SIZE,
    pretrained: bool = True,
    num_modalities: int = 1,
    backbone: str = DEFAULT,
) -> keras.Model:
    """Frame detector: float32 (B, size, size, 3) RGB in 0..255 to `logit` float32 (B, 1), above 0 meaning fake.

    `num_modalities` above 1 lets it see derived channels too, see `FuseModalities`. DataError for an unknown backbone.
    """
    trunk = backbone_named(backbone)
    image = keras.Input((size, size, 3), name="image", dtype="float32")
    x = trunk.normalise(image)
    if num_modalities > 1:
        x = FuseModalities(num_modalities, name="modalities")(x)
    x = trunk.features(x)
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    logit = layers.Dense(1, name="logit", dtype="float32")(x)
    model = keras.Model(image, logit, name=f"{re.sub(r'[^a-z0-9]', '_', backbone.lower())}_detector")
    if pretrained:
        trunk.load(model)
    return model


def stages_of(model: keras.Model) -> list[list[Any]]:
    """The layers of the trunk that have weights, by block, from the picture on: the stem is the first."""
    stages: dict[str, list[Any]] = {}
    for layer in model.layers:
        if layer.weights and layer.name != "logit":
            block = re.match(r"block_?\d+[a-z]?|conv\d+_block\d+", layer.name)
            stages.setdefault(block[0] if block else layer.name, []).append(layer)
    return list(stages.values())


def freeze(model: keras.Model, stages: int) -> None:
    """Keep the first `stages` stages as they are in training, and train the others; 0 trains everything."""
    for number, stage in enumerate(stages_of(model)):
        for layer in stage:
            layer.trainable = number >= stages


def backbone_named(name: str) -> Backbone:
    """The backbone of that name; DataError names the known ones."""
    from trainer.networks.backbones.applications import Application

    known = {backbone.name: backbone for backbone in _backbones()}
    if name in known:
        return known[name]
    if name in Application.names():
        return Application(name)
    raise DataError(f"Unknown backbone '{name}'; known are {', '.join(known)}, and the names of keras.applications.")


def _backbones() -> tuple[Backbone, ...]:
    from trainer.networks.backbones import efficientnet_lite, mobilenet_v2, plain

    return (*efficientnet_lite.ALL, mobilenet_v2.MobileNetV2(), plain.Plain())
