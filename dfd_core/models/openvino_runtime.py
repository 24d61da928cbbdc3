"""Another CPU runtime for the same .tflite file: OpenVINO, in float32; `dfd doctor` measures which is faster here."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import openvino
from ai_edge_litert.interpreter import Interpreter

from dfd_core.errors import ModelError
from dfd_core.models.litert import output_names
from dfd_core.models.network import BATCH, in_batches, normalised
from dfd_core.models.store import ModelInput
from dfd_core.types import Float32Array, UInt8Array


@cache
def core() -> openvino.Core:
    """The only one of this process, for good.

    Where the processor has AMX, each gives signals a stack of its own. When two close in the order in which they were
    opened, signals are left with the first one's, which is gone, and the next one ends the process.
    """
    return openvino.Core()


class OpenVinoRuntime:
    """A .tflite network with a float32 input; `infer` releases the GIL."""

    name = "openvino"

    def __init__(
        self, path: Path, given: ModelInput, threads: int = 0, batch: int = BATCH, precision: str = "f32"
    ) -> None:
        """Load the file at `path`, to run `batch` images at once; ModelError where it is no such network.

        `precision` is f32: bf16, which OpenVINO takes by itself where the processor has it, moves logits by more than
        1e-3 (benchmarks/runtimes.py).
        """
        options = {
            "INFERENCE_NUM_THREADS": threads or os.cpu_count() or 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
        }
        try:
            names = Interpreter(model_path=str(path))
            network = core().read_model(str(path))
            network.reshape([batch, given.size, given.size, 3])
            self._request = core().compile_model(network, "CPU", options).create_infer_request()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"OpenVINO cannot load {path}: {str(error).strip()[:200]}.") from None
        tensors = {d["index"]: d["name"] for d in names.get_output_details()}
        self._names = {name: (tensors[index], tail) for name, (index, tail) in output_names(names).items()}
        self._given, self.batch = given, batch

    def run(self, images: UInt8Array) -> dict[str, Float32Array]:
        """Outputs by name, float32 (B, ...), for `images` uint8 (B, size, size, 3) RGB."""
        parts = [{name: np.zeros((0, *tail), np.float32) for name, (_, tail) in self._names.items()}]
        for batch, count in in_batches(images, self.batch):
            found = self._request.infer([normalised(batch, self._given)], share_inputs=True)
            parts.append(
                {name: np.array(found[tensor][:count], np.float32) for name, (tensor, _) in self._names.items()}
            )
        return {name: np.concatenate([part[name] for part in parts]) for name in self._names}
