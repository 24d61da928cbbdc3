"""How a decoded picture is to be shown: turned or mirrored, with square pixels, in the colours of BT.709."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from dfd_core.media.side_data import side_data_of
from dfd_core.media.tonemap import ToneMapper, is_hdr
from dfd_core.types import UInt8Array

_OBLONG = 4  # pixels that are said to be longer than this are a slip of the pen
_LONGEST = 16384  # px of a side, after oblong pixels are made square


class Orientation(NamedTuple):
    """What is done to a stored picture before it is shown: first mirrored left to right, then turned.

    `turns` counts quarter turns counterclockwise.
    """

    mirrored: bool = False
    turns: int = 0


UPRIGHT = Orientation()
EXIF = (  # the values 1 to 8 of EXIF's tag 0x0112
    UPRIGHT,
    Orientation(True, 0),
    Orientation(False, 2),
    Orientation(True, 2),
    Orientation(True, 1),
    Orientation(False, 3),
    Orientation(True, 3),
    Orientation(False, 1),
)


def orientation_of(picture: VideoFrame) -> Orientation:
    """As the display matrix says, to the nearest quarter turn; its determinant tells what is mirrored."""
    matrix = side_data_of(picture, "DISPLAYMATRIX")
    if matrix is None:
        return UPRIGHT
    (a, b, _), (c, d, _), _ = np.frombuffer(bytes(matrix), np.int32).reshape(3, 3).tolist()
    mirrored = a * d - b * c < 0
    angle = math.atan2(b, a) if not mirrored else math.atan2(-b, -a)  # of the x axis, clockwise
    return Orientation(mirrored, round(-angle / (math.pi / 2)) % 4)


def oriented(array: npt.NDArray[Any], orientation: Orientation) -> npt.NDArray[Any]:
    """Rows and columns of a picture, or of a map that covers it, as they are to be shown."""
    if orientation.mirrored:
        array = array[:, ::-1]
    return np.rot90(array, orientation.turns) if orientation.turns else array


class Display:
    """Turns decoded pictures into RGB of at most `max_pixels`."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self._tone_mapper = ToneMapper()
        self._converter = VideoReformatter()  # a picture's own would be made anew for each

    def image(self, picture: VideoFrame, pixel: Fraction | None, orientation: Orientation) -> UInt8Array:
        """The picture as uint8 (H, W, 3) RGB; `pixel` is width over height of one of its pixels, None if unknown."""
        width, height, shrinks = self._size(picture, pixel)
        if is_hdr(picture):
            rgb: npt.NDArray[Any] = self._tone_mapper.rgb(picture, width, height)
        elif (width, height) != (picture.width, picture.height):
            how = "AREA" if shrinks else "BICUBIC"
            rgb = self._rgb(picture, width=width, height=height, interpolation=how)
        else:
            rgb = self._rgb(picture)
        return np.ascontiguousarray(oriented(rgb, orientation), np.uint8)

    def _rgb(self, picture: VideoFrame, **how: Any) -> npt.NDArray[Any]:
        return self._converter.reformat(picture, format="rgb24", threads=1, **how).to_ndarray()

    def _size(self, picture: VideoFrame, pixel: Fraction | None) -> tuple[int, int, bool]:
        """Width and height with square pixels, longer than stored and never shorter unless there are too many."""
        width, height = float(picture.width), float(picture.height)
        if pixel and pixel != 1 and 1 / _OBLONG <= pixel <= _OBLONG:
            width, height = (width * float(pixel), height) if pixel > 1 else (width, height / float(pixel))
        scale = math.sqrt(self._max_pixels / (width * height))
        if scale < 1:
            return _even(width * scale), _even(height * scale), True
        return min(_LONGEST, round(width)), min(_LONGEST, round(height)), False


def _even(side: float) -> int:
    return max(2, int(side) // 2 * 2)
