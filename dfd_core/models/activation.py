"""Where a network looked: class activation maps (Zhou et al., "Learning Deep Features for Discriminative Localization",
CVPR 2016), of networks that end in the mean of activations and one layer of weights, as the shipped one does.

For such a network the logit is the mean over the map plus a bias, so that the map is no guess: it says what each place
adds. Whether a network is such a one is found out by trying, not by names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from dfd_core.errors import ModelError
from dfd_core.models.network import normalised
from dfd_core.models.store import ModelInput
from dfd_core.types import Float32Array, UInt8Array

_CLOSE = 1e-3  # between what the logit changes by and what the map does, over that


class InnerNetwork:
    """A .tflite network whose inner values can be read; slower than `LiteRuntime`, and not thread-safe."""

    def __init__(self, path: Path, given: ModelInput) -> None:
        """Load the file at `path`; ModelError where it is no network."""
        self._given = given
        try:
            self._net = Interpreter(
                model_path=str(path),
                num_threads=1,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._net.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"LiteRT cannot load {path}: {str(error).strip()[:200]}.") from None
        self.input: int = self._net.get_input_details()[0]["index"]
        self.outputs: list[dict[str, Any]] = self._net.get_output_details()

    def feed(self, image: UInt8Array) -> None:
        """Have it look at `image` uint8 (size, size, 3) RGB."""
        self._net.set_tensor(self.input, normalised(image[None], self._given))
        self._net.invoke()

    def value(self, index: int) -> Float32Array:
        """What a tensor holds, a copy."""
        found: Float32Array = self._net.get_tensor(index).copy()
        return found

    def values(self) -> dict[int, Float32Array]:
        """All activations (1, h, w, C), tables (1, N, C), rows (1, C) and vectors (C,) that can be read, by index."""
        found: list[Any] = self._net.get_tensor_details()
        wanted = [d["index"] for d in found if d["dtype"] is np.float32 and len(d["shape"]) in (1, 2, 3, 4)]
        return {index: self.value(index) for index in wanted if self._readable(index)}

    def _readable(self, index: int) -> bool:
        try:
            self._net.get_tensor(index)
        except ValueError:
            return False
        return True


class ActivationMap:
    """Of a network that ends so."""

    def __init__(self, path: Path, given: ModelInput) -> None:
        """Load the file at `path`; ModelError where it is no network, or ends otherwise."""
        self._given, self._net = given, InnerNetwork(path, given)
        single = [d["index"] for d in self._net.outputs if tuple(d["shape"]) == (1, 1)]
        if not single:
            raise ModelError(f"{path} has no output of one number: it has no heat map.")
        self._logit = single[0]
        self._layer, self._weights, self._bias = self._find()

    def look(self, images: UInt8Array) -> tuple[Float32Array, Float32Array]:
        """Maps float32 (B, h, w) and logits float32 (B,) for `images` uint8 (B, size, size, 3) RGB.

        The mean over a map plus `bias` is the logit: places above 0 speak for fake, below for real.
        """
        maps, logits = [], []
        for image in images:
            logits.append(self._run(image))
            maps.append(self._net.value(self._layer)[0] @ self._weights)
        return np.asarray(maps, np.float32), np.asarray(logits, np.float32)

    @property
    def bias(self) -> float:
        """What the logit has beyond the mean over the map."""
        return self._bias

    def _run(self, image: UInt8Array) -> float:
        self._net.feed(image)
        return float(self._net.value(self._logit).reshape(-1)[0])

    def _find(self) -> tuple[int, Float32Array, float]:
        """The layer, the weights and the bias whose map adds up to the logit of two images that differ."""
        size = self._given.size
        noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
        seen = [(self._run(image), self._net.values()) for image in (np.full((size, size, 3), 128, np.uint8), noise)]
        (first, before), (second, after) = seen
        layers = (i for i, value in after.items() if value.ndim == 4 and value[0, :, :, 0].size > 1)
        for layer in sorted((i for i in layers if i != self._net.input), reverse=True):
            means = before[layer][0].mean((0, 1)), after[layer][0].mean((0, 1))
            for value in (v for i, v in after.items() if v.ndim == 2 and np.array_equal(v, before[i])):
                if value.shape[0] != 1 or value.size != len(means[0]):
                    continue
                if abs((means[1] - means[0]) @ value[0] - (second - first)) < _CLOSE * abs(second - first):
                    return layer, value[0], float(first - means[0] @ value[0])
        raise ModelError("The network does not end in the mean of activations and one layer: it has no heat map.")
