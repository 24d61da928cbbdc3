"""What every runtime's network is: the images that it takes, and the outputs that it gives by name."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from dfd_core.models.store import ModelInput
from dfd_core.types import Float32Array, UInt8Array

LOGIT = "logit"  # the output that every model has: float32 (B, 1), above 0 = rather fake
BATCH = 4  # crops an invocation, as many as a segment gives; the last batch is padded
FEW = 2  # where a segment gives no more


class Runtime(Protocol):
    """A loaded network; not thread-safe."""

    name: str
    batch: int  # images that it takes at once; fewer are padded

    def run(self, images: UInt8Array) -> dict[str, Float32Array]:
        """Outputs by name, float32 (B, ...), for `images` uint8 (B, size, size, 3) RGB; any B, 0 too."""
        ...


def in_batches(images: UInt8Array, size: int) -> list[tuple[UInt8Array, int]]:
    """`images` cut into batches of exactly `size`, the last one padded with zeros, each with its count of real ones."""
    batches = []
    for start in range(0, len(images), size):
        part = images[start : start + size]
        count = len(part)
        if count < size:
            part = np.concatenate([part, np.zeros((size - count, *part.shape[1:]), part.dtype)])
        batches.append((part, count))
    return batches


def normalised(images: UInt8Array, given: ModelInput) -> Float32Array:
    """`images` as float32, each value `(byte - mean) * scale`."""
    values = images.astype(np.float32)
    if given.mean:
        values -= np.float32(given.mean)
    if given.scale != 1:
        values *= np.float32(given.scale)
    return values
