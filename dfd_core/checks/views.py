"""What the check texture looks at: a face in several views, what moves in it, and what stays while it moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from dfd_core.checks.steady import held_still, movements
from dfd_core.types import Float32Array, UInt8Array

STRIDE = 4  # one in so many frames is looked at: neighbours look alike
LEAST = 4  # frames without which a view over time says nothing

Draw = Callable[[UInt8Array], UInt8Array]  # crops (T, S, S, 3) to one picture (S, S, 3)


def _first(crops: UInt8Array) -> UInt8Array:
    return np.asarray(crops[0])


def _motion(crops: UInt8Array) -> UInt8Array:
    """The standard deviation of each value over time, six times as strong."""
    return _picture(6 * np.std(crops, axis=0, dtype=np.float32))


def _lasting(crops: UInt8Array) -> UInt8Array:
    """What is fine in the mean over time, eight times as strong on grey: what does not move with the face stays."""
    mean = np.mean(crops, axis=0, dtype=np.float32)
    return _picture(128 + 8 * (mean - cv2.GaussianBlur(mean, (0, 0), 1.5)))


def _picture(values: Float32Array) -> UInt8Array:
    return np.asarray(np.clip(values, 0, 255), np.uint8)


@dataclass(frozen=True, slots=True)
class View:
    """A look at a crop's part of `share` of its side, whose middle lies `down` of it below the crop's."""

    name: str
    words: str
    share: float
    down: float = 0.0
    draw: Draw = _first
    over_time: bool = False
    held_still: bool = False  # whether the head's movements are taken out first

    def of(self, crops: UInt8Array, moves: Float32Array | None = None) -> UInt8Array:
        """The picture (s, s, 3) of crops uint8 (T, S, S, 3): of the first one, or of all of them.

        `moves` are the `steady.movements` of the crops; where they are missing, the head is not held still.
        """
        side = crops.shape[1]
        kept = round(side * self.share)
        left = (side - kept) // 2
        top = min(max(left + round(side * self.down), 0), side - kept)
        if self.held_still and moves is not None:
            return self.draw(held_still(crops, moves, left, top, kept))
        return self.draw(crops[:, top : top + kept, left : left + kept])


# A model's texture has a logit for each of these, and its card their names. A crop is 1.6 face boxes.
VIEWS = (
    View("crop", "whole crop", 1.0),
    View("face", "face", 0.5),
    View("eyes", "eyes", 0.34, down=-0.1),
    View("lasting", "what stays", 0.5, draw=_lasting, over_time=True),
    View("mouth", "lips move", 0.34, down=0.1, draw=_motion, over_time=True, held_still=True),
    View("chin", "chin moves", 0.34, down=0.2, draw=_motion, over_time=True, held_still=True),
)
NAMES = tuple(view.name for view in VIEWS)


class Look(NamedTuple):
    """One picture, uint8 (s, s, 3), at the frame `place`, or up to it, in the view of this number."""

    place: int
    view: int
    image: UInt8Array


def looks(crops: UInt8Array, present: np.typing.NDArray[np.bool_]) -> Iterator[Look]:
    """What the views see of a segment, crops uint8 (T, S, S, 3), where the face is `present`, bool (T,).

    Every fourth frame is looked at, in the views by turns, and in several where frames are fewer; those over time see
    all frames, unless they are too few, or all the same.
    """
    there = np.flatnonzero(present)
    chosen = there[::STRIDE]
    single = [number for number, view in enumerate(VIEWS) if not view.over_time]
    for turn in range(max(len(chosen), len(single)) if len(chosen) else 0):
        place, number = int(chosen[turn % len(chosen)]), single[turn % len(single)]
        yield Look(place, number, VIEWS[number].of(crops[place : place + 1]))
    seen = crops[there]
    if len(there) < LEAST or (seen[1:] == seen[0]).all():
        return
    moves = movements(seen)
    for number, view in enumerate(VIEWS):
        if view.over_time:
            yield Look(int(there[-1]), number, view.of(seen, moves))
