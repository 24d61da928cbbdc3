"""The CPU runtime: LiteRT with its XNNPACK kernels, without TensorFlow."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from dfd_core.errors import ModelError
from dfd_core.models.network import BATCH, LOGIT, in_batches, normalised
from dfd_core.models.store import ModelInput
from dfd_core.types import Float32Array, UInt8Array


class LiteRuntime:
    """A .tflite network with a float32 input; `invoke` releases the GIL, so that heartbeats run on."""

    name = "litert"

    def __init__(self, path: Path, given: ModelInput, threads: int = 0, batch: int = BATCH) -> None:
        """Load the file at `path`, to run `batch` images at once; ModelError where it is no such network."""
        try:
            self._net = Interpreter(model_path=str(path), num_threads=threads or os.cpu_count() or 1)
            self._given = given
            (self._input,) = self._net.get_input_details()
            shape = (1, given.size, given.size, 3)
            if tuple(self._input["shape"][1:]) != shape[1:] or self._input["dtype"] != np.float32:
                raise ModelError(f"{path} takes {self._input['shape']}, but its card says float32 {shape}.")
            self.batch = self._resize(batch)
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"LiteRT cannot load {path}: {str(error).strip()[:200]}.") from None
        self._names = output_names(self._net)

    def run(self, images: UInt8Array) -> dict[str, Float32Array]:
        """Outputs by name, float32 (B, ...), for `images` uint8 (B, size, size, 3) RGB."""
        parts: list[dict[str, Float32Array]] = []
        for batch, count in in_batches(images, self.batch):
            self._net.set_tensor(self._input["index"], normalised(batch, self._given))
            self._net.invoke()
            parts.append({name: self._net.get_tensor(index)[:count] for name, (index, _) in self._names.items()})
        if not parts:
            return {name: np.zeros((0, *tail), np.float32) for name, (_, tail) in self._names.items()}
        return {name: np.concatenate([part[name] for part in parts]) for name in self._names}

    def _resize(self, batch: int) -> int:
        """Make the network take `batch` images at once, or leave it at one where it was exported so."""
        fixed = int(self._input["shape"][0])
        signature = self._input.get("shape_signature", self._input["shape"])
        batch = batch if int(signature[0]) == -1 else fixed
        self._net.resize_tensor_input(self._input["index"], (batch, *self._input["shape"][1:]))
        self._net.allocate_tensors()
        return batch


def output_names(net: Interpreter) -> dict[str, tuple[int, tuple[int, ...]]]:
    """The tensor of each output and its shape of one image; ModelError where none is called logit."""
    shapes = {d["index"]: tuple(d["shape"][1:]) for d in net.get_output_details()}
    if net.get_signature_list():
        outputs = net.get_signature_runner().get_output_details()
        names = {name: (d["index"], shapes[d["index"]]) for name, d in outputs.items()}
    else:
        names = {d["name"]: (d["index"], shapes[d["index"]]) for d in net.get_output_details()}
    if LOGIT not in names and len(names) == 1:
        names = {LOGIT: next(iter(names.values()))}
    if LOGIT not in names:
        raise ModelError(f"The network has the outputs {sorted(names)}, but none is called '{LOGIT}'.")
    return names
