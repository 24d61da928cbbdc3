"""How old, and of which sex, a face looks: a guess by the small network of face-api (V. Muehler, V. Mandic; MIT).

It ships in the npm package @vladmandic/face-api (`npm pack @vladmandic/face-api`, folder model/): a small Xception
(Chollet, CVPR 2017) with two linear heads, for which its authors state a mean error of 4.5 years and 95 % of the sexes.
It is used to ask whether the detector errs alike for all, and for nothing else: a guess says nothing of who one is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from keras import layers

from dfd_core.errors import DataError
from dfd_core.types import Float32Array, UInt8Array
from trainer.data.dataset import FaceWindow

FILE = "age_gender_model-weights_manifest.json"
SIZE = 112  # px, of the network's input
_SHARE = 0.7  # of a crop's side, which is 1.6 face boxes
_DAMAGED = "The weights in {folder} are damaged: unpack the npm package @vladmandic/face-api anew."
_MEAN = (122.782, 117.001, 104.298)  # RGB, what it was trained on


class Judge:
    """The network, by the folder of its weights; DataError where they are not there, or damaged."""

    def __init__(self, folder: Path) -> None:
        weights = _weights(folder)
        try:
            self._network = _network(weights)
        except (KeyError, ValueError) as error:  # a layer is not there, or of another shape
            raise DataError(_DAMAGED.format(folder=folder)) from error

    def female(self, window: FaceWindow) -> float | None:
        """The share of the guess that goes to female, in [0, 1]; None where the window shows no face."""
        return None if (guess := self._guess(window)) is None else guess[1]

    def age(self, window: FaceWindow) -> float | None:
        """Years; None where the window shows no face."""
        return None if (guess := self._guess(window)) is None else guess[0]

    def guess(self, crops: UInt8Array) -> tuple[Float32Array, Float32Array]:
        """Years and share of female, float32 (N,) each, of crops uint8 (N, S, S, 3) RGB."""
        side = round(crops.shape[1] * _SHARE)
        first = (crops.shape[1] - side) // 2
        faces = crops[:, first : first + side, first : first + side]
        seen = np.stack([cv2.resize(face, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for face in faces])
        age, sex = self._network(seen.astype(np.float32), training=False)
        return np.asarray(age, np.float32)[:, 0], np.asarray(sex, np.float32)[:, 1]

    def _guess(self, window: FaceWindow) -> tuple[float, float] | None:
        shown = np.flatnonzero(window.present > 0)
        if not len(shown):
            return None
        age, female = self.guess(window.crops[shown[len(shown) // 2]][None])
        return float(age[0]), float(female[0])


def _weights(folder: Path) -> dict[str, list[Float32Array]]:
    """Arrays by the layer that they are of, from the manifest and its file, where most are numbers of eight bits."""
    try:
        manifest = json.loads((folder / FILE).read_text(encoding="utf-8"))[0]
        return _unpacked(manifest["weights"], (folder / manifest["paths"][0]).read_bytes())
    except OSError as error:
        raise DataError(
            f"{folder} holds no {FILE}: run 'npm pack @vladmandic/face-api', unpack it and give its folder model/."
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(_DAMAGED.format(folder=folder)) from error


def _unpacked(entries: Sequence[Mapping[str, Any]], data: bytes) -> dict[str, list[Float32Array]]:
    found: dict[str, list[Float32Array]] = {}
    at = 0
    for entry in entries:
        packed, shape = entry.get("quantization"), entry["shape"]
        kind, count = np.dtype(packed["dtype"] if packed else np.float32), int(np.prod(shape))
        values = np.frombuffer(data, kind, count, at).reshape(shape).astype(np.float32)
        at += count * kind.itemsize
        if packed:
            values = values * np.float32(packed["scale"]) + np.float32(packed["min"])
        found.setdefault(entry["name"].rpartition("/")[0], []).append(values)
    return found


def _network(weights: dict[str, list[Float32Array]]) -> keras.Model:
    """Float32 (N, 112, 112, 3) RGB in 0..255 to years (N, 1), and shares (N, 2) of male and female."""
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 255, offset=[-value / 255 for value in _MEAN])(image)
    x = _relu(layers.Conv2D(32, 3, 2, padding="same", name="entry_flow.conv_in")(x))
    x = _reduction(x, x, 64, "entry_flow.reduction_block_0")
    x = _reduction(x, _relu(x), 128, "entry_flow.reduction_block_1")
    for block in range(2):
        start = x
        for conv in range(3):
            x = _separable(_relu(x), 128, f"middle_flow.main_block_{block}.separable_conv{conv}")
        x = layers.Add()([x, start])
    x = _reduction(x, _relu(x), 256, "exit_flow.reduction_block")
    x = layers.GlobalAveragePooling2D()(_relu(_separable(x, 512, "exit_flow.separable_conv")))
    heads = [layers.Dense(1, name="fc.age")(x), layers.Dense(2, activation="softmax", name="fc.gender")(x)]
    network = keras.Model(image, heads)
    for layer in network.layers:
        if layer.weights:
            layer.set_weights(weights[layer.name.replace(".", "/")])
    return network


def _reduction(start: keras.KerasTensor, x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """Two separable convolutions of `x`, at half the size, added to `start` at that size."""
    x = _separable(x, filters, f"{name}.separable_conv0")
    x = _separable(_relu(x), filters, f"{name}.separable_conv1")
    aside = layers.Conv2D(filters, 1, 2, padding="same", name=f"{name}.expansion_conv")(start)
    return layers.Add()([layers.MaxPooling2D(3, 2, "same")(x), aside])


def _separable(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    return layers.SeparableConv2D(filters, 3, padding="same", name=name)(x)


def _relu(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.ReLU()(x)
