"""ONNX Runtime for `model.onnx`, as `dfd export --format onnx` writes it: on the CPU, or by CUDA where it is there."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnxruntime

from dfd_core.errors import ModelError
from dfd_core.models.network import BATCH, LOGIT, in_batches, normalised
from dfd_core.models.store import ModelInput
from dfd_core.types import Float32Array, UInt8Array

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")  # in falling order, where the package has them


class OnnxRuntime:
    """An .onnx network with one float32 input; `run` of its session releases the GIL."""

    name = "onnx"

    def __init__(self, path: Path, given: ModelInput, threads: int = 0, batch: int = BATCH) -> None:
        """Load the file at `path`, to run `batch` images at once; ModelError where it is no such network."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or os.cpu_count() or 1
        options.log_severity_level = 3  # errors
        there = onnxruntime.get_available_providers()
        try:
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=[name for name in PROVIDERS if name in there]
            )
            (taken,) = self._session.get_inputs()
        except Exception as error:  # noqa: BLE001  its own kinds derive from Exception alone
            raise ModelError(f"ONNX Runtime cannot load {path}: {str(error).strip()[:200]}.") from None
        if taken.type != "tensor(float)" or list(taken.shape[1:]) != [given.size, given.size, 3]:
            raise ModelError(f"{path} takes {taken.type} {taken.shape}, but its card says float32 of {given.size} px.")
        self._input, self._given, self.batch = taken.name, given, batch
        self._tails = {output.name: tuple(output.shape[1:]) for output in self._session.get_outputs()}
        if LOGIT not in self._tails:
            raise ModelError(f"The network has the outputs {sorted(self._tails)}, but none is called '{LOGIT}'.")

    def run(self, images: UInt8Array) -> dict[str, Float32Array]:
        """Outputs by name, float32 (B, ...), for `images` uint8 (B, size, size, 3) RGB."""
        parts = [[np.zeros((0, *tail), np.float32) for tail in self._tails.values()]]
        for batch, count in in_batches(images, self.batch):
            found = self._session.run(list(self._tails), {self._input: normalised(batch, self._given)})
            parts.append([values[:count] for values in found])
        return {name: np.concatenate(part) for name, part in zip(self._tails, zip(*parts, strict=True), strict=True)}
