"""How a large picture is cut into overlapping tiles, so that small faces are large enough for the detector."""

from __future__ import annotations

import itertools
import math

import numpy as np

from dfd_core.types import Float32Array, UInt8Array

TILE_PX = 640  # side of a tile: a face of 48 px is 14 px to the detector, which finds nine of ten such
TILED_FROM_PX = 720  # longer side above which a picture is tiled; below, the whole shows nearly as much
_OVERLAP = 1 / 16  # of the longer side: wider faces are found in the whole picture
_NEAR = 6  # widths of a face: the detector sees it at 32 px, and places it well
Tile = tuple[int, int, int, int]  # xyxy px


def tiles_of(image: UInt8Array) -> list[Tile]:
    """Overlapping tiles that cover a large picture, uint8 (H, W, 3); none of one that is small enough as a whole."""
    height, width = image.shape[:2]
    longer = max(height, width)
    if longer <= TILED_FROM_PX:
        return []
    spans = [_spans(length, longer * _OVERLAP) for length in (height, width)]
    return [(x, y, min(x + TILE_PX, width), min(y + TILE_PX, height)) for y, x in itertools.product(*spans)]


def _spans(length: int, overlap: float) -> list[int]:
    """Where the tiles start along one side."""
    if length <= TILE_PX:
        return [0]
    count = math.ceil((length - overlap) / (TILE_PX - overlap))
    return [round(n * (length - TILE_PX) / (count - 1)) for n in range(count)]


def is_cut(box: Float32Array, tile: Tile, image: UInt8Array) -> bool:
    """Whether an edge of the tile that is none of the picture cuts the box, xyxy px, or nearly."""
    near = 0.05 * float(box[2] - box[0])
    whole = (0, 0, image.shape[1], image.shape[0])
    outside = [*(tile[:2] - box[:2] + near), *(box[2:] - tile[2:] + near)]
    return any(over > 0 and edge != end for over, edge, end in zip(outside, tile, whole, strict=True))


def centre_of(box: Float32Array) -> Float32Array:
    """Middle of `box` (4,), xyxy: float32 (2,)."""
    return np.asarray((box[:2] + box[2:]) / 2, np.float32)


def square_around(box: Float32Array, image: UInt8Array) -> Tile:
    """A tile of `_NEAR` times the width of `box` (4,) with it in the middle, moved or cut to lie within the picture."""
    side = round(_NEAR * float(box[2] - box[0]))
    places = []
    for middle, length in zip(centre_of(box), image.shape[1::-1], strict=True):
        start = min(max(round(float(middle)) - side // 2, 0), max(length - side, 0))
        places.append((start, min(start + side, length)))
    (x0, x1), (y0, y1) = places
    return x0, y0, x1, y1
