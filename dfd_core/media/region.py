"""A part of a picture: where a video shows several things side by side, each has its own label."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dfd_core.types import Frame

Region = tuple[float, float, float, float]  # left, top, right, bottom: shares of the frame's sides


def parse_region(text: str) -> Region | None:
    """`left,top,right,bottom` as shares of the frame's sides; None for an empty text, ValueError for any other."""
    if not text.strip():
        return None
    try:
        x0, y0, x1, y1 = map(float, text.split(","))
        if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
            raise ValueError
    except ValueError:
        raise ValueError(
            f"a region is left,top,right,bottom as shares of the frame, as 0,0,0.5,1 for its left half; not '{text}'"
        ) from None
    return x0, y0, x1, y1


def within(frame: Frame, region: Region | None) -> Frame:
    """The frame's part inside the region, with what the codec says of that part; without one the frame itself."""
    if region is None:
        return frame
    return replace(
        frame,
        image=_part(frame.image, region),
        quantisers=None if frame.quantisers is None else _part(frame.quantisers, region),
    )


def _part(array: npt.NDArray[Any], region: Region) -> npt.NDArray[Any]:
    """Rows and columns of `array` (H, W, ...) inside the region, at least one of each."""
    height, width = array.shape[:2]
    left, top, right, bottom = region
    x0, y0 = min(int(left * width), width - 1), min(int(top * height), height - 1)
    x1, y1 = max(round(right * width), x0 + 1), max(round(bottom * height), y0 + 1)
    return np.ascontiguousarray(array[y0:y1, x0:x1])
