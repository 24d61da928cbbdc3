"""The face detector BlazeFace (Bazarevsky et al., 2019, arXiv:1907.05047), run by LiteRT."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from dfd_core.errors import ModelError
from dfd_core.types import Float32Array, UInt8Array

MATCH_IOU = 0.3  # overlap from which two boxes are the same face


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one picture: `box` float32 (4,) xyxy px, `landmarks` float32 (6, 2) px, `confidence` 0 to 1.

    Landmarks, from the subject's view: right eye, left eye, nose tip, mouth, right ear, left ear. `presence`: what
    `dfd_core.faces.mesh` says of the face as it stands in the picture; NaN where nobody asked.
    """

    box: Float32Array
    landmarks: Float32Array
    confidence: float
    presence: float = math.nan

    @property
    def width(self) -> float:
        """Width of the box in px."""
        return float(self.box[2] - self.box[0])


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


class BlazeFace:
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
        """Faces of `image` uint8 (H, W, 3) RGB, the surest first; few are found below 1/16 of its longer side."""
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
        joins = _iou_many(boxes[left[0]], boxes[left]) >= MATCH_IOU
        joins[0] = True
        same = left[joins]
        weight = scores[same] / scores[same].sum()
        faces.append(
            Face(
                box=np.einsum("n,nk->k", weight, boxes[same]).astype(np.float32),
                landmarks=np.einsum("n,nkd->kd", weight, points[same]).astype(np.float32),
                confidence=float(scores[left[0]]),
            )
        )
        left = left[~joins]
    return faces


def _iou_many(box: Float32Array, others: Float32Array) -> Float32Array:
    span = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.prod(np.clip(span, 0, None), axis=1)
    area = np.prod(np.clip(others[:, 2:] - others[:, :2], 0, None), axis=1)
    own = float(np.prod(np.clip(box[2:] - box[:2], 0, None)))
    return np.asarray(shared / np.maximum(own + area - shared, 1e-9), np.float32)


def iou(box: Float32Array, other: Float32Array) -> float:
    """Overlap of two boxes (4,), xyxy: their intersection over their union."""
    return float(_iou_many(box, other[None])[0])
