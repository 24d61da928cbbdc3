"""Five convolutions without pretrained weights: a floor to compare with, and a network for quick tests."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

_WIDTHS = (16, 32, 64, 96, 128)


class Plain:
    """0.2 M parameters."""

    name = "plain"

    def normalise(self, image: Any) -> Any:
        """To -1..1."""
        return layers.Rescaling(1 / 127.5, offset=-1.0, name="normalise")(image)

    def features(self, x: Any) -> Any:
        """To (B, S / 32, S / 32, 128)."""
        for number, width in enumerate(_WIDTHS):
            x = layers.Conv2D(width, 3, 2, "same", activation="relu", name=f"conv{number}")(x)
        return x

    def load(self, model: keras.Model) -> None:
        """Nothing: it trains from the start."""
