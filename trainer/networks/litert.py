"""Keras networks as LiteRT files."""

from __future__ import annotations

import contextlib
import io
from typing import Any

PRECISIONS = ("float16", "float32", "int8")


def to_litert(model: Any, precision: str = "float16") -> bytes:
    """The network as a LiteRT file of any batch size, weights in `precision`, arithmetic in float32.

    With int8, convolutions' inputs are rounded to 8 bits too, by their range in each call.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    with contextlib.redirect_stdout(io.StringIO()):  # Keras lists every variable
        return bytes(converter.convert())
