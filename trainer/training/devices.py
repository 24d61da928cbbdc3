"""Several devices for one run: each computes a share of every batch, and all have the same weights."""

from __future__ import annotations

import keras

from dfd_core.errors import DataError


def use_devices(count: int, batch: int) -> None:
    """Share batches of `batch` pictures among `count` devices (`keras.distribution.DataParallel`, on JAX).

    To be called before a model is built. DataError where that cannot be had; 1 leaves everything as it is.
    """
    if count < 1:
        raise DataError("--devices must be at least 1.")
    if count == 1:
        return
    if keras.backend.backend() != "jax":
        raise DataError("--devices shares a step by JAX: pip install jax, and run with KERAS_BACKEND=jax.")
    found = keras.distribution.list_devices()
    if len(found) < count:
        raise DataError(f"JAX finds {len(found)} device(s) here ({', '.join(found)}), not {count}.")
    if batch % count:
        raise DataError(f"A step's {batch} pictures cannot be shared by {count} devices: change pairs, or --devices.")
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=found[:count]))
