"""The search spaces: fused frames through one of our trunks and a small head, or through AutoKeras's own block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import autokeras as ak
import keras
import keras_tuner
from autokeras.tuners.task_specific import IMAGE_CLASSIFIER
from keras import layers

from dfd_core.errors import DataError
from dfd_core.models.fuse import FuseModalities
from trainer.networks.backbones import backbone_named, build_detector
from trainer.search.plan import AUTOKERAS, Plan

FINE_TUNED, FROZEN, SCRATCH = "fine-tuned", "frozen", "scratch"
Values = dict[str, Any]


@keras.saving.register_keras_serializable("dfd")
class Trunk(ak.Block):
    """A backbone of ours on fused frames, with all of its weights trained or none, to a vector of features.

    `pretrained` are those of `backbones` that have ImageNet weights here.
    """

    def __init__(
        self, backbones: Sequence[str], modalities: Sequence[int], pretrained: Sequence[str], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.backbones, self.modalities, self.pretrained = list(backbones), list(modalities), list(pretrained)

    def get_config(self) -> Values:
        """What rebuilds it."""
        own = {name: getattr(self, name) for name in ("backbones", "modalities", "pretrained")}
        return {**super().get_config(), **own}

    def build(self, hp: Any, inputs: Any = None) -> Any:
        """RGB float32 (B, S, S, 3) in 0..255 to features (B, F)."""
        (image,) = keras.tree.flatten(inputs)
        backbone, modalities = hp.Choice("backbone", self.backbones), hp.Choice("modalities", self.modalities)
        weights = SCRATCH
        if self.pretrained:
            with hp.conditional_scope("backbone", self.pretrained):
                weights = hp.Choice("weights", [FINE_TUNED, FROZEN, SCRATCH]) or SCRATCH
        detector = build_detector(0.0, int(image.shape[1]), weights != SCRATCH, modalities, backbone)
        trunk = keras.Model(detector.input, detector.get_layer("embedding").output, name="trunk")
        trunk.trainable = weights != FROZEN
        return trunk(image)


@keras.saving.register_keras_serializable("dfd")
class Hidden(ak.Block):
    """Dropout and, if chosen, a hidden layer."""

    def build(self, hp: Any, inputs: Any = None) -> Any:
        """Features (B, F) to features (B, G)."""
        (x,) = keras.tree.flatten(inputs)
        x = layers.Dropout(hp.Choice("dropout", [0.2, 0.0, 0.5]))(x)
        width = hp.Choice("width", [0, 64, 256])
        return layers.Dense(width, activation="relu", name="hidden")(x) if width else x


@keras.saving.register_keras_serializable("dfd")
class Fusion(ak.Block):
    """Derived channels behind RGB."""

    def __init__(self, modalities: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.modalities = list(modalities)

    def get_config(self) -> Values:
        """What rebuilds it."""
        return {**super().get_config(), "modalities": self.modalities}

    def build(self, hp: Any, inputs: Any = None) -> Any:
        """RGB (B, S, S, 3) to (B, S, S, 3 + modalities - 1)."""
        (image,) = keras.tree.flatten(inputs)
        return FuseModalities(hp.Choice("modalities", self.modalities), name="modalities")(image)


def graph_of(plan: Plan) -> tuple[Any, Any, Values]:
    """Input, output, and what the tuner needs to know besides: of our space, or of AutoKeras's own behind the fusion.

    The names of AutoKeras's blocks are those that its `ImageClassifier` gives them, so that its first trials fit.
    """
    image = ak.ImageInput(name="image_input_1")
    metrics = ["accuracy", "auc"]
    if plan.space == AUTOKERAS:
        x = ak.ImageBlock(name="image_block_1")(Fusion(plan.modalities, name="fusion")(image))
        head = ak.ClassificationHead(name="classification_head_1", metrics=metrics)
        return image, head(x), {"initial_hps": [dict(values) for values in IMAGE_CLASSIFIER]}
    pretrained = [name for name in plan.backbones if has_weights(name)]
    x = Hidden(name="head")(Trunk(plan.backbones, plan.modalities, pretrained, name="trunk")(image))
    head = ak.ClassificationHead(name="classification_head_1", metrics=metrics, dropout=0.0)
    fixed = keras_tuner.HyperParameters()
    fixed.Fixed("optimizer", "adam")
    fixed.Choice("learning_rate", [3e-4, 1e-3, 1e-4])
    first = first_trials(plan.backbones, pretrained, plan.modalities[0])
    return image, head(x), {"initial_hps": first, "hyperparameters": fixed}


def first_trials(backbones: Sequence[str], pretrained: Sequence[str], modalities: int) -> list[Values]:
    """One trial for each backbone, in their order, before the search goes on from the best."""
    same = {"trunk/modalities": modalities, "head/dropout": 0.2, "head/width": 0}
    tuned = {"trunk/weights": FINE_TUNED, "learning_rate": 3e-4}
    return [
        {"trunk/backbone": name, **same, **(tuned if name in pretrained else {"learning_rate": 1e-3})}
        for name in backbones
    ]


def has_weights(name: str) -> bool:
    """Whether a backbone has ImageNet weights that can be had here; DataError where it is unknown."""
    trunk = backbone_named(name)
    if name == "plain":
        return False
    try:
        trunk.load(build_detector(size=64, pretrained=False, backbone=name))
    except DataError:
        return False
    return True
