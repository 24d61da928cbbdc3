"""From one file to its face windows: the same decoder, detector, tracker and crops as in serving."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dfd_core.errors import DataError
from dfd_core.facemesh import FaceMesh
from dfd_core.faces import Face, FaceFinder, crop_origin
from dfd_core.settings import Settings
from dfd_core.types import FaceTrack, Float32Array, Segment
from dfd_core.video import read_frames
from dfd_core.windows import SegmentBuilder
from trainer.data.dataset import MESH_POINTS, FaceWindow

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

    def windows_of(self, path: Path) -> list[FaceWindow]:
        """The windows of a video or picture, in order; a DfdError where there is none, with the reason."""
        builder = SegmentBuilder("build", self._finder, self._settings.faces, self._windows)
        found: list[FaceWindow] = []
        for frame in read_frames(str(path), "build", self._settings.video, live=False):
            for segment in builder.push(frame):
                found += self._take(segment)
            if len(found) >= self._plan.windows:
                break
        else:
            for segment in builder.flush():
                found += self._take(segment)
        if not found:
            raise DataError("no face is seen for long enough")
        return found[: self._plan.windows]

    def _take(self, segment: Segment) -> list[FaceWindow]:
        needed = max(1, _ENOUGH * min(self._plan.frames, len(segment.times_s)))
        tracks = [track for track in segment.tracks if track.present.sum() >= needed]
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
        )
        window.crops[:n], window.times_s[:n], window.present[:n] = track.crops, segment.times_s, track.present
        for row in np.flatnonzero(track.present):
            face = _in_crop(track, row)
            window.boxes[row] = face.box
            points = self._mesh.landmarks(track.crops[row], face)
            if points is not None:
                window.mesh[row] = points
        return window


def _in_crop(track: FaceTrack, row: int) -> Face:
    """The face of a row in px of its crop."""
    scale = track.crops.shape[1] / track.side
    origin: Float32Array = np.array(crop_origin(track.boxes[row], track.side), np.float32)
    box = (track.boxes[row].reshape(2, 2) - origin) * scale
    return Face(box.reshape(4), np.asarray((track.landmarks[row] - origin) * scale, np.float32), 1.0)
