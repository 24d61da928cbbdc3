"""Perceptual hashes: which pictures are the same, whatever their size, codec and quality.

The hash is the 256 bits of a DCT (pHash: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions",
2010), by the library imagehash: another encoding changes few of them, another picture about half.
"""

from __future__ import annotations

from collections.abc import Iterator

import imagehash
import numpy as np
from PIL import Image

from dfd_core.types import UInt8Array

BITS, BYTES = 256, 32
SAME_PICTURE = 40  # bits that may differ; among real-world clips other people in a like pose begin at about 50
_CHUNK = 512  # hashes that are compared with all others at once


def picture_hash(image: UInt8Array) -> UInt8Array:
    """Uint8 (32,), of `image` uint8 (H, W, 3) RGB."""
    return np.packbits(imagehash.phash(Image.fromarray(image), hash_size=16).hash.ravel())


def alike(hashes: UInt8Array, bits: int = SAME_PICTURE) -> Iterator[tuple[int, int, int]]:
    """Pairs of rows of `hashes` uint8 (H, 32), the first before the second, and by how many bits, at most `bits`."""
    signs = np.unpackbits(hashes, axis=1).astype(np.float32) * 2 - 1
    for start in range(0, len(signs), _CHUNK):
        apart = (BITS - signs[start : start + _CHUNK] @ signs[start:].T) / 2
        for row, column in np.argwhere(apart <= bits):
            if row < column:
                yield start + int(row), start + int(column), int(apart[row, column])
