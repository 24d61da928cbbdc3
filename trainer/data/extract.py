"""From one file to its face windows: the same decoder, detector, tracker and crops as in serving."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from dfd_core.checks.appearance import network_input
from dfd_core.errors import DataError, PartialError
from dfd_core.faces.blazeface import Face
from dfd_core.faces.finder import FaceFinder, crop_origin
from dfd_core.faces.mesh import FaceMesh
from dfd_core.faces.windows import SegmentBuilder
from dfd_core.media import read_frames
from dfd_core.media.region import within
from dfd_core.settings import Settings
from dfd_core.types import FaceTrack, Float32Array, Frame, Segment, UInt8Array
from trainer.data.dataset import FaceWindow
from trainer.data.layouts import Crop, LabelledFile
from trainer.data.schema import MESH_POINTS

_ENOUGH = 0.5  # of a window's frames, in which the face must be seen; a picture has one frame


@dataclass(frozen=True, slots=True)
class Extraction:
    """What is taken of each file: up to `windows` windows of `frames` frames, of the widest face or of all."""

    frames: int = 16
    windows: int = 8
    all_faces: bool = False


class Extractor:
    """Cuts windows out of files; not thread-safe."""

    def __init__(self, settings: Settings, plan: Extraction) -> None:
        self._settings = settings
        self._windows = replace(settings.windows, frames=plan.frames, stride=plan.frames)
        self._plan = plan
        self._finder = FaceFinder(settings.faces)
        self._mesh = FaceMesh()

    def windows_of(self, file: LabelledFile) -> list[FaceWindow]:
        """The windows of a video, a picture or crops, in order; a DfdError where there is none, with the reason."""
        if file.crops:
            return [self._cut_before(crop) for crop in file.crops[: self._plan.windows]]
        builder = SegmentBuilder("build", self._finder, self._settings.faces, self._windows)
        found: list[FaceWindow] = []
        for frame in self._frames(file.path):
            for segment in builder.push(within(frame, file.region)):
                found += self._take(segment)
            if len(found) >= self._plan.windows:
                break
        else:
            for segment in builder.flush():
                found += self._take(segment)
        if not found:
            raise DataError("no face is seen for long enough")
        return found[: self._plan.windows]

    def _frames(self, path: Path) -> Iterator[Frame]:
        """What can be read of a file, be it only a part."""
        with suppress(PartialError):
            yield from read_frames(str(path), "build", self._settings.video, live=False)

    def _cut_before(self, crop: Crop) -> FaceWindow:
        """The window of one frame that a crop is; its box is where serving would have found the face."""
        if self._plan.frames != 1:
            raise DataError("crops are single frames: say --frames 1, or build from the videos")
        image, faces = read_image(crop.path), self._settings.faces
        if image.shape[0] > faces.crop_cap_px:
            image = network_input(image, faces.crop_cap_px)
        pixels = image.shape[0]
        half = pixels / faces.crop_scale / 2
        window = FaceWindow(
            crops=image[None],
            side=crop.face_px * faces.crop_scale,
            present=np.ones(1, np.uint8),
            times_s=np.array([crop.time_s]),
            boxes=np.array([[pixels / 2 - half] * 2 + [pixels / 2 + half] * 2], np.float32),
            mesh=np.full((1, MESH_POINTS, 2), np.nan, np.float16),
            landmarks=np.full((1, 6, 2), np.nan, np.float32),
            quantisers=np.full(1, np.nan, np.float32),
        )
        seen = min(self._finder.find(image), key=lambda face: _off_centre(face, pixels), default=None)
        points = None if seen is None else self._mesh.landmarks(image, seen)
        if points is not None:
            window.mesh[0] = points
        return window

    def _take(self, segment: Segment) -> list[FaceWindow]:
        needed = max(1, _ENOUGH * min(self._plan.frames, len(segment.times_s)))
        tracks = [track for track in segment.tracks if track.upright and track.present.sum() >= needed]
        tracks.sort(key=lambda track: -float(np.nanmedian(track.boxes[:, 2] - track.boxes[:, 0])))
        return [self._window(t, segment) for t in (tracks if self._plan.all_faces else tracks[:1])]

    def _window(self, track: FaceTrack, segment: Segment) -> FaceWindow:
        total, n = self._plan.frames, len(segment.times_s)
        pixels = track.crops.shape[1]
        window = FaceWindow(
            crops=np.zeros((total, pixels, pixels, 3), np.uint8),
            side=float(track.side),
            present=np.zeros(total, np.uint8),
            times_s=np.full(total, np.nan),
            boxes=np.full((total, 4), np.nan, np.float32),
            mesh=np.full((total, MESH_POINTS, 2), np.nan, np.float16),
            landmarks=np.full((total, 6, 2), np.nan, np.float32),
            quantisers=np.full(total, np.nan, np.float32),
        )
        if track.quantisers is not None:
            window.quantisers[:n] = track.quantisers
        window.crops[:n], window.times_s[:n], window.present[:n] = track.crops, segment.times_s, track.present
        for row in np.flatnonzero(track.present).tolist():
            face = _in_crop(track, row)
            window.boxes[row], window.landmarks[row] = face.box, face.landmarks
            points = self._mesh.landmarks(track.crops[row], face)
            if points is not None:
                window.mesh[row] = points
        return window


def read_image(path: Path) -> UInt8Array:
    """A picture file as uint8 (H, W, 3) RGB; DataError when it cannot be read."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f"{path} is not a picture that OpenCV can read.")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _off_centre(face: Face, side: int) -> float:
    """Distance of the face's middle from that of a picture of `side` px, squared px."""
    middle = (face.box[:2] + face.box[2:]) / 2
    return float(((middle - side / 2) ** 2).sum())


def _in_crop(track: FaceTrack, row: int) -> Face:
    """The face of a row in px of its crop."""
    scale = track.crops.shape[1] / track.side
    origin: Float32Array = np.array(crop_origin(track.boxes[row], track.side), np.float32)
    box = (track.boxes[row].reshape(2, 2) - origin) * scale
    return Face(box.reshape(4), np.asarray((track.landmarks[row] - origin) * scale, np.float32), 1.0)
