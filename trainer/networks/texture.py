"""The network of the check texture: statistics of shallow ImageNet features, and linear discriminants of them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from dfd_core.models.litert import LiteRuntime
from dfd_core.models.statistics import Discriminant, RegionStatistics
from dfd_core.models.store import TEXTURE_KERAS_FILE, TEXTURE_LITERT_FILE, ModelInput
from dfd_core.types import Float32Array
from trainer.networks.architecture import DEFAULT
from trainer.networks.backbones import backbone_named
from trainer.networks.litert import to_litert

TAPS = ("block3_project_conv", "block6_project_conv", "block7_add")  # at a stride of 8, 16 and 16 px
_STATISTICS, _LOGIT = "statistics", "logit"


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What is learned: means, inverse deviations and direction, float32 (D,) each, and the offset of the logit."""

    mean: Float32Array
    scale: Float32Array
    direction: Float32Array
    offset: float


def texture_network(size: int, voices: Sequence[Sequence[Head]] = ()) -> keras.Model:
    """Float32 (B, size, size, 3) RGB in 0..255 to `logit`, or to the statistics without a voice.

    Logits are float32 (B, K) of the K heads of one voice, a view each, and (B, V, K) of V voices. Weights are those of
    ImageNet.

    DataError where those are not installed.
    """
    trunk = backbone_named(DEFAULT)
    image = keras.Input((size, size, 3), name="image", dtype="float32")
    whole = keras.Model(image, trunk.features(trunk.normalise(image)))
    taps = [RegionStatistics(name=f"of_{name}")(whole.get_layer(name).output) for name in TAPS]
    statistics = layers.Concatenate(name=_STATISTICS, dtype="float32")(taps)
    heads = [head for voice in voices for head in voice]
    discriminants = [Discriminant(name=f"view_{n}") for n in range(len(heads))]
    logits = [discriminant(statistics) for discriminant in discriminants]
    model = keras.Model(image, _joined(logits, len(voices)) if heads else statistics, name="texture")
    trunk.load(model)
    for discriminant, head in zip(discriminants, heads, strict=True):
        offset = np.array([head.offset], np.float32)
        discriminant.set_weights([head.mean, head.scale, head.direction[:, None], offset])
    return model


def _joined(logits: Sequence[keras.KerasTensor], voices: int) -> keras.KerasTensor:
    if voices == 1:
        return layers.Concatenate(name=_LOGIT, dtype="float32")(logits)
    side_by_side = layers.Concatenate(dtype="float32")(logits)
    return layers.Reshape((voices, -1), name=_LOGIT, dtype="float32")(side_by_side)


def statistics_runtime(size: int, threads: int) -> LiteRuntime:
    """What gives the statistics, (B, D), as its only output, in the arithmetic in which the check serves."""
    network = texture_network(size)
    with tempfile.TemporaryDirectory(prefix="dfd-") as folder:
        path = Path(folder) / TEXTURE_LITERT_FILE
        path.write_bytes(to_litert(network))
        return LiteRuntime(path, ModelInput(size=size), threads)


def write_texture(folder: Path, size: int, voices: Sequence[Sequence[Head]]) -> None:
    """Put the network with these voices, a head a view each, into a model folder, whose card is to be written anew."""
    network = texture_network(size, voices)
    network.save(folder / TEXTURE_KERAS_FILE)
    (folder / TEXTURE_LITERT_FILE).write_bytes(to_litert(network))
