"""What Keras 3.15 hides and dfd needs; every use of its private parts stands here, each with a test.

1. PyTorch's backend copies every activation to channels-first and back. `keep_channels_last`.
2. Under PyTorch an optimizer is saved under the name of its own variant, which no other backend has. `OPTIMIZERS`.
3. No public name leads to the moving averages of the weights that an optimizer keeps. `averages_of`.
4. Nor from a network of `keras.applications` to its `preprocess_input`. `preprocessing_of`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import keras

OPTIMIZERS = {name: getattr(keras.optimizers, name) for name in ("Adam", "AdamW")}


def keep_channels_last() -> None:
    """Let Keras hand PyTorch permuted views: it copies every activation to channels-first and back, 1.2 times slower.

    Keras 3.15 makes them contiguous for other devices' sake; where that function is gone, nothing changes.
    """
    from keras.src.backend.torch import nn

    if hasattr(nn, "_transpose_spatial_inputs"):
        nn._transpose_spatial_inputs = lambda inputs: inputs.movedim(-1, 1)


def averages_of(model: keras.Model) -> list[tuple[Any, Any]]:
    """Trained variables with their moving averages; none where the optimizer keeps none."""
    averages = getattr(model.optimizer, "_model_variables_moving_average", [])
    return list(zip(model.trainable_variables, averages, strict=True)) if averages else []


def preprocessing_of(build: Callable[..., Any]) -> Callable[[Any], Any]:
    """RGB 0..255 to what the network of `keras.applications` that `build` makes was trained on."""
    preprocess: Callable[[Any], Any] = sys.modules[build.__module__].preprocess_input
    return preprocess
