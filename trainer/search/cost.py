"""What a network costs: its size, and its time on LiteRT."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from dfd_core.models.litert import LiteRuntime
from dfd_core.models.network import BATCH
from dfd_core.models.store import ModelInput
from trainer.networks.found import as_detector
from trainer.networks.litert import to_litert

_CALLS = 10  # of which the fastest counts: the others were disturbed


def parameters_of(model: keras.Model) -> int:
    """All weights that a file of it holds, frozen ones too."""
    return int(model.count_params())


def latency_ms(model: keras.Model) -> float:
    """Milliseconds an image on LiteRT, in batches of `dfd_core.models.litert.BATCH`, on one thread."""
    side = int(model.input_shape[1])
    images = np.zeros((BATCH, side, side, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        with contextlib.redirect_stdout(io.StringIO()):  # TensorFlow prints what it saved
            path.write_bytes(to_litert(as_detector(model)))
        runtime = LiteRuntime(path, ModelInput(size=side), threads=1)
        taken = []
        for _ in range(_CALLS):
            started = time.perf_counter()
            runtime.run(images)
            taken.append(time.perf_counter() - started)
    return min(taken) * 1000 / BATCH
