"""From sampled frames to segments of faces, and from segments to sliding windows.

Pictures are turned so that faces are upright (`orientation.py`); what is said of places is said of turned ones.

A gap in time or a cut ends the running segment early and forgets the faces; the next segment does not follow it, and
no window reaches back across. Where pictures came in the gap, but too many to be looked at, a face that is still in
place is the same one. A cut is a change of the colour histogram (total variation between smoothed 8x8x8 RGB histograms
of two consecutive frames, 0 to 1), the measure of Zhang, Kankanhalli and Smoliar (Multimedia Systems, 1993).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from dfd_core.faces.blazeface import Face
from dfd_core.faces.finder import FaceFinder, FaceSearch, FaceTracker, between, crop, crop_side, same_place, turned
from dfd_core.faces.orientation import Orientation
from dfd_core.settings import FaceSettings, WindowSettings
from dfd_core.types import FaceTrack, Float32Array, Frame, Segment, UInt8Array, Window

_SMALL = (64, 36)  # px of the copy that the histogram is taken from
_BINS = 8  # of each colour channel
_GLANCE_EVERY = 4  # frames of a segment that rests
_STILL_THERE_S = 60.0  # after a longer gap, who is in the place of a face is another one


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept of a frame to compare the next one with."""

    index: int
    time_s: float
    histogram: Float32Array


class SegmentBuilder:
    """Builds the segments of one stream; every frame goes to exactly one of them."""

    def __init__(self, stream: str, finder: FaceFinder, faces: FaceSettings, windows: WindowSettings) -> None:
        self._stream = stream
        self._search = FaceSearch(finder)
        self._orientation = Orientation(finder)
        self._faces = faces
        self._windows = windows
        self._tracker = FaceTracker()
        self._open: _OpenSegment | None = None
        self._last: _Seen | None = None  # the frame before
        self._lone: Frame | None = None  # the first frame, as long as it is the only one
        self._held: Frame | None = None  # in which nobody looks for faces: they are placed once the next one is known
        self._known: tuple[float, dict[int, Face]] = 0.0, {}  # time and faces of the last frame that was looked at
        self._seq = 0
        self._rests = False

    def rest(self, rests: bool) -> None:
        """Look at every fourth frame of the next segment only: nobody is to score it. What is new there ends that."""
        self._rests = rests

    @property
    def quarter_turns(self) -> int:
        """By how many quarters, counterclockwise, pictures are turned now."""
        return self._orientation.quarter_turns

    def push(self, frame: Frame) -> list[Segment]:
        """Take the next sampled frame; the segments that it completes: none, one, or two after a gap or cut."""
        done = []
        before, self._last = self._last, _Seen(frame.index, frame.time_s, colour_histogram(frame.image))
        follows, is_first = self._follows(before, self._last), before is None
        if not follows:
            done += self.flush()
            if before is not None and self._left_out(before, self._last):
                self._tracker.resume(before.time_s, frame.time_s)
            else:
                self._tracker.reset()
        if self._passes_over():
            self._search.pass_over()
            return done + self._add(frame, [])
        frame = turned_frame(frame, self._orientation.quarter_turns)
        if self._faces.every > 1 and self._held is None and self._open is not None:
            self._held, self._lone = frame, None
            return done
        return done + self._look(frame, follows, is_first)

    def _passes_over(self) -> bool:
        rests = self._rests and self._held is None and self._open is not None and self._open.follows
        return rests and self._open is not None and len(self._open.times) % _GLANCE_EVERY > 0

    def _look(self, frame: Frame, follows: bool, is_first: bool) -> list[Segment]:
        """Find the faces of a frame, and place those of the frame before it where that was held back."""
        done: list[Segment] = []
        tracked: list[tuple[int, Face]] | None = None
        found = self._search.find(frame.image, not follows)
        if self._held is not None:
            tracked = self._tracker.update(found, frame.time_s)
            done = self._release(self._between(self._held, frame, tracked))
        if self._open is None:
            found = self._orientation.measured(frame.image, found)
            further = self._orientation.better(frame.image, found, not follows)
            if further:
                follows, frame, tracked = False, turned_frame(frame, further), None
                self._tracker.reset()
                found = self._search.find(frame.image, True)
            self._open = _OpenSegment(follows, self._faces, self._orientation)
        tracked = self._tracker.update(found, frame.time_s) if tracked is None else tracked
        self._rests = self._rests and all(track_id in self._known[1] for track_id, _ in tracked)
        self._known = frame.time_s, dict(tracked)
        self._lone = frame if is_first else None
        return done + self._add(frame, tracked)

    def _add(self, frame: Frame, tracked: list[tuple[int, Face]]) -> list[Segment]:
        assert self._open is not None
        self._open.add(frame, tracked)
        return self._close() if len(self._open.times) == self._windows.stride else []

    def _release(self, tracked: list[tuple[int, Face]]) -> list[Segment]:
        """Add the frame that was held back, with its faces."""
        held, self._held = self._held, None
        return [] if held is None else self._add(held, tracked)

    def _between(self, held: Frame, frame: Frame, tracked: list[tuple[int, Face]]) -> list[tuple[int, Face]]:
        """The faces of the `held` frame: those that were seen before it and are in the `frame` after it."""
        since_s, known = self._known
        share = (held.time_s - since_s) / (frame.time_s - since_s)
        return [(track_id, between(known[track_id], face, share)) for track_id, face in tracked if track_id in known]

    def flush(self) -> list[Segment]:
        """The unfinished segment, at the end of the source; empty if there is none."""
        done = []
        if self._held is not None:
            found = self._search.find(self._held.image, False)
            done = self._release(self._tracker.update(found, self._held.time_s))
        return done + self._close()

    def _close(self) -> list[Segment]:
        if self._open is None:
            return []
        if self._lone is not None:
            self._look_around(self._open, self._lone)
        segment = self._open.close(self._stream, self._seq)
        self._open = None
        self._seq += 1
        return [segment]

    def _look_around(self, segment: _OpenSegment, still: Frame) -> None:
        """Add the faces of a still that stand otherwise than the rest of it, each cut out of the picture turned."""
        for quarters, face, place in self._orientation.otherwise(still.image, segment.upright_boxes()):
            segment.forget(place)
            self._tracker.reset()  # places in a turned picture are others
            if len(segment.rows) < self._faces.max_faces:
                segment.see(turned_frame(still, quarters), self._tracker.update([face], still.time_s), 0)

    def _follows(self, before: _Seen | None, now: _Seen) -> bool:
        return (
            before is not None
            and 0 <= now.time_s - before.time_s <= self._windows.max_gap_s
            and self._like(before, now)
        )

    def _left_out(self, before: _Seen, now: _Seen) -> bool:
        """Whether the scene is as before a gap in which pictures came, of which nobody looked at any."""
        came, gap_s = now.index - before.index, now.time_s - before.time_s
        return 0 <= gap_s <= min(_STILL_THERE_S, came * self._windows.max_gap_s) and self._like(before, now)

    def _like(self, before: _Seen, now: _Seen) -> bool:
        change = float(np.abs(now.histogram - before.histogram).sum()) / 2
        return change <= self._windows.cut_threshold


class WindowSlider:
    """The last `frames / stride` segments of one stream, so far as they follow each other."""

    def __init__(self, windows: WindowSettings) -> None:
        self._segments: deque[Segment] = deque(maxlen=windows.frames // windows.stride)

    def push(self, segment: Segment) -> Window:
        """The window that ends with `segment`."""
        if not segment.follows:
            self._segments.clear()
        self._segments.append(segment)
        return Window(tuple(self._segments))

    def leave_out(self, segment: Segment) -> Window:
        """The window of `segment` alone, which nobody scores; no later one looks back on it, or beyond it."""
        self._segments.clear()
        return Window((segment,))


def colour_histogram(image: UInt8Array) -> Float32Array:
    """Colour histogram of `image` uint8 (H, W, 3): float32 (8, 8, 8) of sum 1, smoothed over neighbouring bins."""
    step = max(1, min(image.shape[0] // _SMALL[1], image.shape[1] // _SMALL[0]))
    small = cv2.resize(np.ascontiguousarray(image[::step, ::step]), _SMALL, interpolation=cv2.INTER_AREA)
    counts = np.asarray(cv2.calcHist([small], [0, 1, 2], None, [_BINS] * 3, [0, 256] * 3), np.float32)
    for axis in range(3):  # a little more light must not move whole areas into other bins
        edge = np.take(counts, [0], axis), np.take(counts, [-1], axis)
        wide = np.concatenate([edge[0], counts, edge[1]], axis)
        left, right = np.take(wide, range(_BINS), axis), np.take(wide, range(2, _BINS + 2), axis)
        counts = (left + 2 * counts + right) / 4
    return np.asarray(counts / counts.sum(), np.float32)


def mean_quantiser(frame: Frame, box: Float32Array) -> float:
    """Mean of the codec's quantiser in `box` (4,) xyxy px of the frame; NaN where it is unknown."""
    if frame.quantisers is None:
        return math.nan
    blocks = np.array(frame.quantisers.shape)[::-1] / np.array(frame.image.shape[1::-1])  # a px
    low = np.clip((box[:2] * blocks).astype(int), 0, np.array(frame.quantisers.shape)[::-1] - 1)
    high = np.maximum(np.ceil(box[2:] * blocks).astype(int), low + 1)
    return float(frame.quantisers[low[1] : high[1], low[0] : high[0]].mean())


def turned_frame(frame: Frame, quarter_turns: int) -> Frame:
    """`frame` with picture and quantisers turned counterclockwise by so many quarters."""
    if not quarter_turns:
        return frame
    quantisers = None if frame.quantisers is None else np.ascontiguousarray(np.rot90(frame.quantisers, quarter_turns))
    return replace(frame, image=turned(frame.image, quarter_turns), quantisers=quantisers)


@dataclass(slots=True)
class _Rows:
    """What is known so far of one face: the side of its crops, and frame number, face, crop, quantiser where seen."""

    side: int
    upright: bool
    seen: list[tuple[int, Face, UInt8Array, float]] = field(default_factory=list)

    def track(self, track_id: int, n: int) -> FaceTrack:
        size = self.seen[0][2].shape[0]
        boxes = np.full((n, 4), np.nan, np.float32)
        landmarks = np.full((n, 6, 2), np.nan, np.float32)
        crops = np.zeros((n, size, size, 3), np.uint8)
        quantisers = np.full(n, np.nan, np.float32)
        for row, face, pixels, quantiser in self.seen:
            boxes[row], landmarks[row], crops[row], quantisers[row] = face.box, face.landmarks, pixels, quantiser
        return FaceTrack(track_id, boxes, landmarks, crops, self.side, quantisers, self.upright)


@dataclass(slots=True)
class _OpenSegment:
    """The segment that is being filled."""

    follows: bool
    settings: FaceSettings
    orientation: Orientation
    times: list[float] = field(default_factory=list)
    captured_at_s: float = 0.0
    rows: dict[int, _Rows] = field(default_factory=dict)

    def add(self, frame: Frame, tracked: list[tuple[int, Face]]) -> None:
        self.see(frame, tracked, len(self.times))
        self.times.append(frame.time_s)
        self.captured_at_s = frame.captured_at_s

    def see(self, frame: Frame, tracked: list[tuple[int, Face]], row: int) -> None:
        for track_id, face in tracked:
            if track_id not in self.rows:
                self.rows[track_id] = self._begin(frame, face)
            rows = self.rows[track_id]
            pixels = crop(frame.image, face.box, rows.side, self.settings.crop_cap_px)
            rows.seen.append((row, face, pixels, mean_quantiser(frame, face.box)))

    def upright_boxes(self) -> list[Float32Array]:
        return [rows.seen[0][1].box for rows in self.rows.values() if rows.upright]

    def forget(self, place: Float32Array) -> None:
        """Drop a face that is not upright, and was found at `place`."""
        lying = [i for i, r in self.rows.items() if not r.upright and same_place(r.seen[0][1].box, place)]
        for track_id in lying:
            del self.rows[track_id]

    def _begin(self, frame: Frame, face: Face) -> _Rows:
        (measured,) = self.orientation.measured(frame.image, [face])
        return _Rows(crop_side(face.box, self.settings), self.orientation.upright(frame.image, measured))

    def close(self, stream: str, seq: int) -> Segment:
        n = len(self.times)
        tracks = tuple(rows.track(track_id, n) for track_id, rows in self.rows.items())
        return Segment(stream, seq, np.array(self.times, np.float64), self.captured_at_s, tracks, self.follows)
