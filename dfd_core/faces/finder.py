"""Find the faces of a picture, follow them from frame to frame, and cut them out at native resolution.

The detector is BlazeFace: its full-range model first, and its short-range model where that finds nothing, since a face
that fills the picture is outside the former's range. Both see the whole picture at 192 or 128 px, so that small faces
vanish from a large one: it is looked at in tiles too, and what is found there must be a face to the face mesh.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from dfd_core.faces.blazeface import MATCH_IOU, BlazeFace, Face, iou
from dfd_core.faces.mesh import SCALE, FaceMesh
from dfd_core.faces.tiles import Tile, centre_of, is_cut, square_around, tiles_of
from dfd_core.settings import FaceSettings
from dfd_core.types import Float32Array, UInt8Array

FORGET_S = 1.0  # a track that is unseen for longer gets a new id when it comes back
_DOUBT = 0.2  # by how much surer the detector must be without the face mesh than with it
_IS_FACE = 5.0  # presence: of 303 tiled finds in 1,108 frames of 720p and more no other thing reached it
_ROUGH = 0.7  # of the least width: what is narrower in a tile is not looked at closely
_LIKE = 3.0  # times the width: a face that is smaller still may hang behind a larger one
_TILED_EVERY = 24  # sampled frames of a video


class _Networks:
    """What faces are found by, loaded: 30 ms and 28 MB; ModelError where one is missing."""

    def __init__(self, threads: int) -> None:
        self.detectors = (
            BlazeFace("face_detection_full_range.tflite", ((48, 1),), threads),
            BlazeFace("face_detection_short_range.tflite", ((16, 2), (8, 6)), threads),
        )
        self.mesh = FaceMesh(threads)


_preloaded: list[_Networks] = []


def preload_networks() -> None:
    """Load those of the next `FaceFinder` of one thread now: processes that are forked later each have them."""
    _preloaded[:] = [_Networks(1)]


class FaceFinder:
    """Finds every face that is at least `settings.min_width_px` wide; not thread-safe, cheap to make (30 ms)."""

    def __init__(self, settings: FaceSettings, threads: int = 1) -> None:
        self._settings = settings
        networks = _preloaded.pop() if _preloaded and threads == 1 else _Networks(threads)
        self._detectors, self._mesh = networks.detectors, networks.mesh

    def find(self, image: UInt8Array, tiles: Sequence[Tile] | None = None) -> list[Face]:
        """Faces of `image` uint8 (H, W, 3) RGB, widest first, at most `settings.max_faces`.

        Tiles add to what the whole picture shows: those given, or all of them.
        """
        faces = self._in_whole(image)
        for tile in tiles_of(image) if tiles is None else tiles:
            for rough in self._in_tile(image, tile):
                if not any(same_place(rough.box, other.box) for other in faces):
                    faces += self._looked_at_closely(image, rough, tile)
        return sorted(faces, key=lambda f: -f.width)[: self._settings.max_faces]

    def presence(self, image: UInt8Array, face: Face, quarter_turns: int = 0) -> float:
        """`FaceMesh.presence` of a face of `image`, turned counterclockwise by so many quarters."""
        side = round(float(max(face.box[2:] - face.box[:2])) * SCALE)
        square = crop(image, face.box, max(16, side), self._settings.crop_cap_px)
        return self._mesh.presence(turned(square, quarter_turns))

    def _in_whole(self, image: UInt8Array) -> list[Face]:
        for detector in self._detectors:
            faces = [f for f in detector.detect(image, self._settings.min_confidence) if self._counts(f)]
            if faces:
                return faces
        return []

    def _in_tile(self, image: UInt8Array, tile: Tile) -> list[Face]:
        """What may be a face in the tile and is not cut by it, in px of the picture, surest first."""
        x0, y0, x1, y1 = tile
        start = np.array([x0, y0], np.float32)
        part = np.ascontiguousarray(image[y0:y1, x0:x1])
        found = self._detectors[0].detect(part, max(0.1, self._settings.min_confidence - _DOUBT))
        moved = [replace(f, box=f.box + np.tile(start, 2), landmarks=f.landmarks + start) for f in found]
        return [face for face in moved if not is_cut(face.box, tile, image)]

    def _looked_at_closely(self, image: UInt8Array, rough: Face, tile: Tile) -> list[Face]:
        """The face found in a tile, with the box that a square around it shows; empty if it is none."""
        if rough.width < _ROUGH * self._settings.min_width_px or self.presence(image, rough) < _IS_FACE:
            return []
        near = square_around(rough.box, image)
        closer = [rough] if near[2] - near[0] >= tile[2] - tile[0] else self._in_tile(image, near)
        faces = [replace(f, presence=self.presence(image, f)) for f in closer if same_place(f.box, rough.box)][:1]
        return [face for face in faces if self._counts(face) and face.presence >= _IS_FACE]

    def _counts(self, face: Face) -> bool:
        return face.width >= self._settings.min_width_px


class FaceSearch:
    """Finds the faces of one stream: in all tiles of a large picture now and then, else near the last small ones."""

    def __init__(self, finder: FaceFinder) -> None:
        self._finder = finder
        self._until_all = 0
        self._small: list[Face] = []

    def pass_over(self) -> None:
        """Nobody looks at a frame; what is looked at now and then comes no later for that."""
        self._until_all = max(0, self._until_all - 1)

    def find(self, image: UInt8Array, afresh: bool) -> list[Face]:
        """As `FaceFinder.find`; `afresh`: the picture shows another scene than the one before it."""
        if afresh or self._until_all == 0:
            self._until_all = _TILED_EVERY
            faces = self._finder.find(image)
        else:
            faces = self._finder.find(image, [square_around(face.box, image) for face in self._small])
        self._until_all -= 1
        lost = [f for f in self._small if self._until_all and not any(same_place(f.box, other.box) for other in faces)]
        self._small = [*(face for face in faces if not math.isnan(face.presence)), *lost]
        return faces


def turned(image: UInt8Array, quarter_turns: int) -> UInt8Array:
    """`image` uint8 (H, W, 3) turned counterclockwise by so many quarters, as `numpy.rot90` turns it, but fast."""
    if not quarter_turns % 4:
        return image
    codes = (cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)
    return np.asarray(cv2.rotate(image, codes[quarter_turns % 4 - 1]), np.uint8)


def same_place(box: Float32Array, other: Float32Array) -> bool:
    """Whether two boxes are of one face: much in common, or of like size and the middle of one within the other."""
    pairs = (box, centre_of(other)), (other, centre_of(box))
    inside = any(bool((b[:2] <= middle).all() and (middle <= b[2:]).all()) for b, middle in pairs)
    narrow, wide = sorted(float(b[2] - b[0]) for b in (box, other))
    return (inside and wide < _LIKE * narrow) or iou(box, other) >= MATCH_IOU


def between(before: Face, after: Face, share: float) -> Face:
    """A face on its way, when so much of the time has passed: 0 is `before`, 1 is `after`."""
    box = before.box + np.float32(share) * (after.box - before.box)
    landmarks = before.landmarks + np.float32(share) * (after.landmarks - before.landmarks)
    return Face(box, landmarks, min(before.confidence, after.confidence))


class FaceTracker:
    """Gives faces ids that stay the same from frame to frame, by overlap of boxes; ids are never used twice."""

    def __init__(self) -> None:
        self._ids = itertools.count()
        self._last: dict[int, tuple[Float32Array, float]] = {}

    def update(self, faces: Sequence[Face], time_s: float) -> list[tuple[int, Face]]:
        """Match the faces of the frame at media time `time_s` (seconds) to tracks: the greatest overlap first."""
        self._last = {i: (box, seen) for i, (box, seen) in self._last.items() if time_s - seen <= FORGET_S}
        pairs = sorted(
            ((iou(face.box, box), n, track) for n, face in enumerate(faces) for track, (box, _) in self._last.items()),
            reverse=True,
        )
        ids: dict[int, int] = {}
        for overlap, n, track in pairs:
            if overlap >= MATCH_IOU and n not in ids and track not in ids.values():
                ids[n] = track
        matched = [(ids[n] if n in ids else next(self._ids), face) for n, face in enumerate(faces)]
        self._last.update({track: (face.box, time_s) for track, face in matched})
        return matched

    def resume(self, since_s: float, time_s: float) -> None:
        """Nobody looked from the frame at `since_s` to the one at `time_s`: whoever is still in place is the same."""
        self._last = {i: (box, time_s) for i, (box, seen) in self._last.items() if since_s - seen <= FORGET_S}

    def reset(self) -> None:
        """Forget all faces, as after a cut; the next ones get new ids."""
        self._last.clear()


def crop_side(box: Float32Array, settings: FaceSettings) -> int:
    """Side in px of the square to cut around `box` (4,)."""
    return max(16, round(float(max(box[2] - box[0], box[3] - box[1])) * settings.crop_scale))


def crop_origin(box: Float32Array, side: int) -> tuple[int, int]:
    """Left and top px of the square of `side` px that is centred on `box`; may lie outside the picture."""
    return round(float(box[0] + box[2]) / 2 - side / 2), round(float(box[1] + box[3]) / 2 - side / 2)


def crop(image: UInt8Array, box: Float32Array, side: int, cap: int) -> UInt8Array:
    """The square of `side` px around `box` as uint8 (S, S, 3): pixel for pixel, or scaled down where side > cap.

    What lies outside the picture repeats its edge.
    """
    left, top = crop_origin(box, side)
    height, width = image.shape[:2]
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)
    if x0 >= x1 or y0 >= y1:
        x0, y0 = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
        x1, y1 = x0 + 1, y0 + 1
    patch = image[y0:y1, x0:x1]
    if side > cap:
        scale = cap / side
        patch = cv2.resize(
            patch, (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))), interpolation=cv2.INTER_AREA
        )
        x0, y0, left, top, side = round(x0 * scale), round(y0 * scale), round(left * scale), round(top * scale), cap
    before_x, before_y = min(max(x0 - left, 0), side - 1), min(max(y0 - top, 0), side - 1)
    patch = patch[: side - before_y, : side - before_x]
    after_x, after_y = side - before_x - patch.shape[1], side - before_y - patch.shape[0]
    if before_x or before_y or after_x or after_y:
        patch = cv2.copyMakeBorder(patch, before_y, after_y, before_x, after_x, cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(patch, dtype=np.uint8)
