"""Find the faces of a picture, follow them from frame to frame, and cut them out at native resolution.

The detector is BlazeFace (Bazarevsky et al., 2019, arXiv:1907.05047), run by LiteRT: its full-range model first, and
its short-range model where that finds nothing, since a face that fills the picture is outside the former's range.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from dfd_core.errors import ModelError
from dfd_core.settings import FaceSettings
from dfd_core.types import Float32Array, UInt8Array

MATCH_IOU = 0.3  # overlap from which two boxes are the same face
FORGET_S = 1.0  # a track that is unseen for longer gets a new id when it comes back


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one picture: `box` float32 (4,) xyxy px, `landmarks` float32 (6, 2) px, `confidence` 0 to 1.

    Landmarks, from the subject's view: right eye, left eye, nose tip, mouth, right ear, left ear.
    """

    box: Float32Array
    landmarks: Float32Array
    confidence: float

    @property
    def width(self) -> float:
        """Width of the box in px."""
        return float(self.box[2] - self.box[0])


class FaceFinder:
    """Finds every face that is at least `settings.min_width_px` wide; not thread-safe, cheap to make (30 ms)."""

    def __init__(self, settings: FaceSettings, threads: int = 1) -> None:
        self._settings = settings
        self._detectors = (
            _BlazeFace("face_detection_full_range.tflite", ((48, 1),), threads),
            _BlazeFace("face_detection_short_range.tflite", ((16, 2), (8, 6)), threads),
        )

    def find(self, image: UInt8Array) -> list[Face]:
        """Faces of `image` uint8 (H, W, 3) RGB, widest first, at most `settings.max_faces`."""
        for detector in self._detectors:
            faces = [f for f in detector.detect(image, self._settings.min_confidence) if self._counts(f)]
            if faces:
                return sorted(faces, key=lambda f: -f.width)[: self._settings.max_faces]
        return []

    def _counts(self, face: Face) -> bool:
        return face.width >= self._settings.min_width_px


class FaceTracker:
    """Gives faces ids that stay the same from frame to frame, by overlap of boxes; ids are never used twice."""

    def __init__(self) -> None:
        self._ids = itertools.count()
        self._last: dict[int, tuple[Float32Array, float]] = {}

    def update(self, faces: Sequence[Face], time_s: float) -> list[tuple[int, Face]]:
        """Match the faces of the frame at media time `time_s` (seconds) to tracks: the greatest overlap first."""
        self._last = {i: (box, seen) for i, (box, seen) in self._last.items() if time_s - seen <= FORGET_S}
        pairs = sorted(
            ((_iou(face.box, box), n, track) for n, face in enumerate(faces) for track, (box, _) in self._last.items()),
            reverse=True,
        )
        ids: dict[int, int] = {}
        for overlap, n, track in pairs:
            if overlap >= MATCH_IOU and n not in ids and track not in ids.values():
                ids[n] = track
        matched = [(ids[n] if n in ids else next(self._ids), face) for n, face in enumerate(faces)]
        self._last.update({track: (face.box, time_s) for track, face in matched})
        return matched

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


def face_model(name: str) -> Path:
    """Path of a face model file that ships with dfd; ModelError where it is not the one that the card names."""
    folder = Path(str(resources.files("dfd_core.models"))) / "files" / "face"
    try:
        expected = json.loads((folder / "card.json").read_text())["files"][name]
        actual = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    except (OSError, ValueError, KeyError):
        raise ModelError(f"The face model {name} is missing or has no card: install dfd again.") from None
    if actual != expected:
        raise ModelError(f"The face model {name} is not the one that its card names: install dfd again.")
    return folder / name


class _BlazeFace:
    """One BlazeFace network; `layers` lists (cells a side, anchors a cell)."""

    def __init__(self, name: str, layers: tuple[tuple[int, int], ...], threads: int) -> None:
        self._net = Interpreter(model_path=str(face_model(name)), num_threads=threads)
        self._net.allocate_tensors()
        (given,) = self._net.get_input_details()
        boxes, scores = sorted(self._net.get_output_details(), key=lambda d: -int(d["shape"][-1]))
        self._input, self._boxes, self._scores = given["index"], boxes["index"], scores["index"]
        self._size = int(given["shape"][1])
        self._anchors = np.concatenate([_anchors(cells, each) for cells, each in layers])

    def detect(self, image: UInt8Array, min_confidence: float) -> list[Face]:
        side = max(image.shape[:2])
        scale = self._size / side
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        small = _resized(image, size)
        board = np.zeros((1, self._size, self._size, 3), np.float32)
        left, top = (self._size - size[0]) // 2, (self._size - size[1]) // 2
        board[0, top : top + size[1], left : left + size[0]] = small.astype(np.float32) / 127.5 - 1
        self._net.set_tensor(self._input, board)
        self._net.invoke()
        logits = np.clip(self._net.get_tensor(self._scores)[0, :, 0], -80, 80)
        sure = 1 / (1 + np.exp(-logits))
        (picked,) = np.nonzero(sure >= min_confidence)
        if not len(picked):
            return []
        raw = self._net.get_tensor(self._boxes)[0, picked].reshape(-1, 8, 2)
        raw[:, [0, 2, 3, 4, 5, 6, 7]] += self._anchors[picked, None] * self._size
        corners = np.concatenate([raw[:, 0] - raw[:, 1] / 2, raw[:, 0] + raw[:, 1] / 2], axis=1)
        points = (raw[:, 2:] - (left, top)) / scale
        corners = (corners - (left, top, left, top)) / scale
        return _blend_overlaps(corners, points, sure[picked])


def _resized(image: UInt8Array, size: tuple[int, int]) -> UInt8Array:
    """`image` at `size` (width, height); a large one first at twice that: whole areas are ten times faster."""
    shrinks = image.shape[1] > size[0]
    if image.shape[1] > 3 * size[0]:
        image = np.asarray(cv2.resize(image, (2 * size[0], 2 * size[1]), interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR), np.uint8)


def _anchors(cells: int, each: int) -> Float32Array:
    centres = (np.arange(cells, dtype=np.float32) + 0.5) / cells
    grid = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
    return np.repeat(grid, each, axis=0)


def _blend_overlaps(boxes: Float32Array, points: Float32Array, scores: Float32Array) -> list[Face]:
    """Non-maximum suppression that averages what overlaps, by score, as BlazeFace does against jitter."""
    faces: list[Face] = []
    left = np.argsort(-scores)
    while len(left):
        overlap = _iou_many(boxes[left[0]], boxes[left])
        same = left[overlap >= MATCH_IOU]
        same = same if len(same) else left[:1]
        weight = scores[same] / scores[same].sum()
        faces.append(
            Face(
                box=np.einsum("n,nk->k", weight, boxes[same]).astype(np.float32),
                landmarks=np.einsum("n,nkd->kd", weight, points[same]).astype(np.float32),
                confidence=float(scores[left[0]]),
            )
        )
        left = left[~np.isin(left, same)]
    return faces


def _iou_many(box: Float32Array, others: Float32Array) -> Float32Array:
    span = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.prod(np.clip(span, 0, None), axis=1)
    area = np.prod(np.clip(others[:, 2:] - others[:, :2], 0, None), axis=1)
    own = float(np.prod(np.clip(box[2:] - box[:2], 0, None)))
    return np.asarray(shared / np.maximum(own + area - shared, 1e-9), np.float32)


def _iou(box: Float32Array, other: Float32Array) -> float:
    return float(_iou_many(box, other[None])[0])
