"""A face held still: what still moves in it then moves by itself, as mouths do, and what was pasted over them."""

from __future__ import annotations

import cv2
import numpy as np

from dfd_core.types import Float32Array, UInt8Array

_SHARE = 0.6  # of a crop's side, in which the face is followed
_SIDE = 96  # px, of the small grey pictures in which that is done
_POINTS = np.stack(np.meshgrid(*[np.linspace(10, 86, 7)] * 2), -1).reshape(-1, 1, 2).astype(np.float32)
_LEAST = 10  # points without which a face was not followed
_ZOOM = 0.8, 1.25  # no face goes further within a second
_WINDOW, _LEVELS = (11, 11), 2  # of the flow


def movements(crops: UInt8Array) -> Float32Array:
    """How the head moves in crops uint8 (T, S, S, 3): similarity transforms float32 (T, 2, 3) to the middle one.

    They map px of each crop to those of the middle one, by the optical flow (Lucas and Kanade, IJCAI 1981) of points
    all over the face: the median of squares is the least for what most of them do. The identity where they are lost.
    """
    kept = round(crops.shape[1] * _SHARE)
    first = (crops.shape[1] - kept) // 2
    part = crops[:, first : first + kept, first : first + kept]
    greys = [
        cv2.cvtColor(cv2.resize(c, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY) for c in part
    ]
    middle, points = greys[len(greys) // 2], _POINTS * (kept / _SIDE) + first
    return np.stack([_movement(middle, grey, points, kept / _SIDE, first) for grey in greys]).astype(np.float32)


def held_still(crops: UInt8Array, moves: Float32Array, left: int, top: int, side: int) -> UInt8Array:
    """The square of `side` px at (left, top) of the middle crop, uint8 (T, side, side, 3), as each crop shows it."""
    shift = np.array([[0, 0, left], [0, 0, top]], np.float32)
    flags = cv2.INTER_CUBIC
    squares = [
        cv2.warpAffine(crop, move - shift, (side, side), flags=flags, borderMode=cv2.BORDER_REFLECT)
        for crop, move in zip(crops, moves, strict=True)
    ]
    return np.stack(squares).astype(np.uint8)


def _movement(middle: UInt8Array, grey: UInt8Array, points: Float32Array, scale: float, first: int) -> Float32Array:
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        middle, grey, _POINTS, np.zeros_like(_POINTS), winSize=_WINDOW, maxLevel=_LEVELS
    )
    good = status[:, 0] > 0
    if good.sum() >= _LEAST:
        move, _ = cv2.estimateAffinePartial2D(found[good] * scale + first, points[good], method=cv2.LMEDS)
        if move is not None and _ZOOM[0] < float(np.hypot(move[0, 0], move[1, 0])) < _ZOOM[1]:
            return np.asarray(move, np.float32)
    return np.eye(2, 3, dtype=np.float32)
