"""Which way up a stream is: a camera hung from the ceiling, or a phone's video whose flag a messenger dropped.

The measure is the presence that the face mesh reports for the square around a face (`FaceMesh.presence`). A stream in
which it is not sure of any face is looked at in all four turns, and keeps the best one for as long as nothing speaks
against it, so that upright footage pays for one look of the mesh a segment. A face that stands otherwise than the rest
of its picture is told apart; heads that are tilted by less than about 45 degrees count as upright.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from dfd_core.faces.blazeface import Face
from dfd_core.faces.finder import FaceFinder, same_place, turned
from dfd_core.types import Float32Array, UInt8Array

_SURE = 15.0  # presence that 97 % of upright faces reach, and none of 1,400 that were turned
_MARGIN = 10.0  # presence that another turn of the picture must reach, and by how much it must be the better one
_LEAN = 6.0  # by how much another turn of a face must be the better one, for it not to count as upright
_PATIENCE = 8  # most segments between two looks at all turns, while nobody is surely upright
_COMPARABLE = 0.5  # of the width of the widest face: smaller ones do not speak for the picture


class Orientation:
    """How one stream's pictures are to be turned; `quarter_turns` counterclockwise, 0 to 3."""

    def __init__(self, finder: FaceFinder) -> None:
        self._finder = finder
        self.quarter_turns = 0
        self._wait = self._pause = 0  # segments until the next look at all turns, and from the last to the next
        self._saw_faces = False

    def measured(self, image: UInt8Array, faces: Sequence[Face]) -> list[Face]:
        """The faces of `image` uint8 (H, W, 3) with their presence."""
        return [
            replace(face, presence=self._finder.presence(image, face)) if math.isnan(face.presence) else face
            for face in faces
        ]

    def better(self, image: UInt8Array, faces: Sequence[Face], afresh: bool) -> int:
        """By how many further quarters the stream is to be turned, given a picture of it and its measured faces.

        `image` is turned already as far as is known. Asked for once a segment; `afresh`: it shows another scene.
        """
        widest = max((face.width for face in faces), default=0.0)
        now = _best(faces, widest)
        due = afresh or self._wait == 0 or (bool(faces) and not self._saw_faces)
        self._saw_faces = bool(faces)
        if now >= _SURE:
            self._wait = self._pause = 0
            return 0
        if not due:
            self._wait -= 1
            return 0
        at = {quarters: self._seen(turned(image, quarters), widest) for quarters in (1, 2, 3)}
        best = max(at, key=lambda quarters: at[quarters])
        if at[best] >= max(now, 0.0) + _MARGIN:
            self.quarter_turns = (self.quarter_turns + best) % 4
            self._wait = self._pause = 0
            return best
        self._wait = self._pause = min(max(1, 2 * self._pause), _PATIENCE)
        return 0

    def upright(self, image: UInt8Array, face: Face) -> bool:
        """Whether a measured face of `image` stands upright in it, or is too unclear to say otherwise."""
        if face.presence >= _SURE:
            return True
        others = max(self._finder.presence(image, face, quarters) for quarters in (1, 2, 3))
        return others < face.presence + _LEAN

    def otherwise(self, image: UInt8Array, taken: Sequence[Float32Array]) -> Iterator[tuple[int, Face, Float32Array]]:
        """The faces that are surely upright once `image` is turned by 1 to 3 quarters, each in one turn.

        With the turn, the face as it is in the turned picture, and its box (4,) xyxy px in `image`. Places that are
        `taken`, xyxy px of `image`, have an upright face already.
        """
        places = list(taken)
        for quarters in (1, 2, 3):
            around = turned(image, quarters)
            for face in self.measured(around, self._finder.find(around)):
                place = turned_box(face.box, 4 - quarters, around)
                if face.presence >= _SURE and not any(same_place(place, other) for other in places):
                    places.append(place)
                    yield quarters, face, place

    def _seen(self, image: UInt8Array, widest: float) -> float:
        return _best(self.measured(image, self._finder.find(image)), widest)


def turned_box(box: Float32Array, quarter_turns: int, image: UInt8Array) -> Float32Array:
    """`box` (4,) xyxy px of `image`, in that picture turned counterclockwise by so many quarters."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = box
    for _ in range(quarter_turns % 4):
        x0, y0, x1, y1 = y0, width - x1, y1, width - x0
        height, width = width, height
    return np.array([x0, y0, x1, y1], np.float32)


def _best(faces: Sequence[Face], widest: float) -> float:
    """The highest presence of a face that is not small beside the widest one; -inf where there is none."""
    least = _COMPARABLE * max([widest, *(face.width for face in faces)])
    return max((face.presence for face in faces if face.width >= least), default=-math.inf)
