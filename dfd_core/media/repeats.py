"""What is wrong with a source's pictures: black, frozen, or a stretch that comes again and again.

A replayed feed is an attack on a detector, and a frozen one shows nothing of what is there. *Frozen* looks at single
pixels: a sensor's noise is never twice the same in them, and what encoders make of one picture soon is. A clock that is
written over the top or the bottom of a picture may run on. *Looped* looks at 16 x 16 grey means, of which those count
most that change: most pictures of the last seconds came before, all equally long ago, and are nearer to that than to
the picture just before.
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
import numpy.typing as npt

from dfd_core.conditions import Condition
from dfd_core.types import Float32Array, UInt8Array

BLACK_S, DARK, DARK_SHARE = 2.0, 24.0, 0.98  # for so long so many cells are darker than that, of 255
FROZEN_S, STILL = 15.0, 0.25  # for longer than encoders go on without a whole picture; of 255, mean over the pixels
_TILES = 8  # a side
_RIM = 2  # rows of them at the top and at the bottom
OVERLAY = 8  # tiles of those that what is written over may fill
LOOPED_S = 30.0  # in which pictures are held against those of before
STEP_S = 0.125  # between pictures that are remembered
LEAST_LAG, MOST_LAG = 16, 2440  # steps: loops of 2 s to 5 min; shorter ones are found by a multiple of their length
SHARE, SHARE_LEFT = 0.6, 0.4  # of pictures match at one lag, where it is a loop; until it is the second
ALIKE, NEARER = 0.15, 0.5  # they match: nearer than pictures about a second apart, or one step apart, times this
VAGUE = 0.5  # what matches at this share of all lags tells nothing: a lamp that blinks
_PIXELS, _CELLS = 256, 16  # a side, of what is made of a picture
_AROUND = slice(4, 13)  # steps back to pictures about a second before: half to one and a half
_MOVES = 0.1  # of 255: how far pictures about a second apart must be to tell anything
_ENOUGH = 40  # pictures that tell something, to say so
_ROWS = 244  # that are compared at once, in the processor's cache


class Repeats:
    """Looks at one stream's sampled pictures in order; where time goes back, it begins anew."""

    def __init__(self) -> None:
        self._seen_s = self._still_s = 0.0
        self._still: UInt8Array | None = None  # the picture that has not changed since
        self._dark_s: float | None = None  # since when all is dark
        self._loop = LoopFinder()

    def see(self, image: UInt8Array, time_s: float) -> Condition | None:
        """What is wrong at media time `time_s` with the pictures up to this one, uint8 (H, W, 3) RGB; None: nothing."""
        if time_s < self._seen_s:
            self._still, self._dark_s, self._loop = None, None, LoopFinder()
        self._seen_s = time_s
        grey = _grey(image)
        points, cells = np.ascontiguousarray(grey[::4, ::4]), _cells(grey)
        if self._still is None or _change(points, self._still) > STILL:
            self._still, self._still_s = points, time_s
        if np.mean(cells < DARK) < DARK_SHARE:
            self._dark_s = None
        elif self._dark_s is None:
            self._dark_s = time_s
        looped = self._loop.see(cells, time_s)
        if self._dark_s is not None and time_s - self._dark_s >= BLACK_S:
            return Condition.BLACK
        if time_s - self._still_s >= FROZEN_S:
            return Condition.FROZEN
        return Condition.LOOPED if looped else None


class LoopFinder:
    """Remembers five minutes of pictures, and at which lags those of the last seconds came before."""

    def __init__(self) -> None:
        self._pictures = np.zeros((MOST_LAG + 1, _CELLS * _CELLS), np.float32)  # a ring of steps
        self._steps = np.full(MOST_LAG + 1, -1)  # which step each row holds
        self._step = -1
        self._matches: deque[tuple[float, npt.NDArray[np.bool_]]] = deque()  # of each picture that tells, by lag
        self._counts = np.zeros(MOST_LAG + 1, np.int32)  # their sum
        self.looped = False

    @property
    def nbytes(self) -> int:
        """Memory that it comes to need."""
        matches = round(LOOPED_S / STEP_S) * self._counts.size
        return self._pictures.nbytes + self._steps.nbytes + self._counts.nbytes + matches

    def see(self, cells: Float32Array, time_s: float) -> bool:
        """Whether the pictures up to this one, of grey means float32 (16, 16), are a loop."""
        step, picture = int(time_s / STEP_S), cells.reshape(-1)
        if step <= self._step:
            return self.looped
        self._step = step
        distances = self._distances(picture)
        around = distances[_AROUND][np.isfinite(distances[_AROUND])]
        change = float(around.mean()) if len(around) else 0.0
        if change > _MOVES:
            follows = self._steps[(step - 1) % len(self._steps)] == step - 1
            before = min(change, float(distances[1])) if follows else 0.0
            self._note(distances < max(ALIKE * change, NEARER * before), time_s)
        row = step % len(self._steps)
        self._pictures[row], self._steps[row] = picture, step
        self._decide(time_s)
        return self.looped

    def _distances(self, picture: Float32Array) -> Float32Array:
        """By lag in steps: root mean square of the differences to the nearest of three pictures about there."""
        lags = self._step - self._steps
        known = (self._steps >= 0) & (lags <= MOST_LAG)
        weights = self._weights(picture, lags, known)
        squares, apart = np.empty(len(lags), np.float32), np.empty((_ROWS, len(picture)), np.float32)
        for row in range(0, len(lags), _ROWS):
            part = apart[: len(lags) - row]
            np.subtract(self._pictures[row : row + _ROWS], picture, out=part)
            np.multiply(part, part, out=part)
            np.dot(part, weights, out=squares[row : row + _ROWS])
        by_lag = np.full(MOST_LAG + 2, np.inf, np.float32)
        by_lag[lags[known]] = np.sqrt(squares[known])
        nearest = by_lag[:-1].copy()
        nearest[1:] = np.minimum(np.minimum(by_lag[:-2], by_lag[1:-1]), by_lag[2:])
        return nearest

    def _weights(self, picture: Float32Array, lags: npt.NDArray[np.int_], known: npt.NDArray[np.bool_]) -> Float32Array:
        """What each cell counts, 1 in all: as much as it changes about now."""
        around = self._pictures[known & (lags >= _AROUND.start) & (lags < _AROUND.stop)]
        changes = np.square(around - picture).sum(axis=0, dtype=np.float32) + np.float32(1e-6)
        return np.asarray(changes / changes.sum(), np.float32)

    def _note(self, matched: npt.NDArray[np.bool_], time_s: float) -> None:
        matched[:LEAST_LAG] = False
        if matched.sum() > VAGUE * max(1, min(self._step, MOST_LAG) - LEAST_LAG):
            matched[:] = False
        self._matches.append((time_s, matched))
        self._counts += matched

    def _decide(self, time_s: float) -> None:
        while self._matches and self._matches[0][0] < time_s - LOOPED_S:
            self._counts -= self._matches.popleft()[1]
        if len(self._matches) >= _ENOUGH:  # else it stays as it was
            share = float(self._counts.max()) / len(self._matches)
            self.looped = share >= (SHARE_LEFT if self.looped else SHARE)


def _change(points: UInt8Array, before: UInt8Array) -> float:
    """Mean difference of two pictures, of 255, without the few tiles near their top and bottom that differ most."""
    side = len(points) // _TILES
    tiles = cv2.absdiff(points, before).reshape(_TILES, side, _TILES, side).mean(axis=(1, 3))
    rim = np.sort(np.concatenate([tiles[:_RIM], tiles[-_RIM:]]), axis=None)[:-OVERLAY]
    middle = tiles[_RIM:-_RIM]
    return float((rim.sum() + middle.sum()) / (rim.size + middle.size))


def _grey(image: UInt8Array) -> UInt8Array:
    """Some of the picture's pixels, spread over it, as they are."""
    some = cv2.resize(image, (_PIXELS, _PIXELS), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.cvtColor(some, cv2.COLOR_RGB2GRAY), np.uint8)


def _cells(grey: UInt8Array) -> Float32Array:
    """Means of the picture's parts, float32 (16, 16)."""
    return np.asarray(cv2.resize(grey.astype(np.float32), (_CELLS, _CELLS), interpolation=cv2.INTER_AREA), np.float32)
