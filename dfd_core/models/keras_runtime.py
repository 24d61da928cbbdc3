"""The GPU runtime: a saved Keras network, called at one fixed shape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dfd_core.errors import ModelError
from dfd_core.models import fuse, statistics  # noqa: F401  they register their layers with Keras
from dfd_core.models.network import LOGIT, in_batches, normalised
from dfd_core.models.store import ModelInput
from dfd_core.types import Float32Array, UInt8Array

GPU_BATCH = 64  # crops a call where there is a GPU
CPU_BATCH = 8


class KerasRuntime:
    """A .keras network whose hash the caller has verified, loaded in safe mode; never `predict`, which leaks."""

    name = "keras"

    def __init__(self, path: Path, given: ModelInput) -> None:
        """Load the file at `path`; ModelError where it is no such network."""
        self.batch = GPU_BATCH if _grow_gpu_memory() else CPU_BATCH
        self._given = given
        try:
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
            self._call = _compiled(model)
            self._run_one_batch(np.zeros((self.batch, given.size, given.size, 3), np.uint8))
        except (ValueError, TypeError, OSError) as error:
            raise ModelError(f"Keras cannot load {path}: {str(error).strip()[:200]}.") from None

    def run(self, images: UInt8Array) -> dict[str, Float32Array]:
        """Outputs by name, float32 (B, ...), for `images` uint8 (B, size, size, 3) RGB."""
        nothing = np.zeros((self.batch, self._given.size, self._given.size, 3), np.uint8)
        batches = in_batches(images, self.batch) or [(nothing, 0)]
        parts = [
            {name: value[:count] for name, value in self._run_one_batch(batch).items()} for batch, count in batches
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _run_one_batch(self, batch: UInt8Array) -> dict[str, Float32Array]:
        outputs = self._call(tf.constant(normalised(batch, self._given)))
        outputs = outputs if isinstance(outputs, dict) else {LOGIT: outputs}
        if LOGIT not in outputs:
            raise ModelError(f"The network has the outputs {sorted(outputs)}, but none is called '{LOGIT}'.")
        return {name: np.asarray(value, np.float32) for name, value in outputs.items()}


def _compiled(model: Any) -> Callable[[Any], Any]:
    """The network as one traced graph, in inference mode."""
    return tf.function(lambda images: model(images, training=False))  # type: ignore[no-any-return]


def _grow_gpu_memory() -> bool:
    """Take GPU memory as it is needed, rather than all at once; whether there is a GPU."""
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:  # already initialised by the caller: its choice stands
            return True
    return bool(gpus)
