"""A stream made on the spot, authentic first and fake from a known second on: for demos, tests and canaries.

    synthetic://[name]?duration=24&fake_from=12&live=1&size=1280x720&fps=25&seed=0
    synthetic://canary?every=60&fake_for=15&live=1&size=640x360&fps=8

A public-domain portrait (matplotlib's sample picture of Grace Hopper) under a virtual camera with sensor noise; from
`fake_from` on its face is self-blended (dfd_core.faces.blending) and flickers between slightly different blends. It is
encoded to H.264 and decoded again, so that it is video like any other. With `every` it is fake for the last `fake_for`
of each so many seconds, and goes on for ever unless a `duration` is given.
"""

from __future__ import annotations

import importlib.util
import math
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from itertools import count, islice
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import av
import cv2
import numpy as np

from dfd_core.errors import SettingsError, VideoError
from dfd_core.faces.blazeface import Face
from dfd_core.faces.blending import blend_with, draw_alteration
from dfd_core.faces.finder import FaceFinder
from dfd_core.faces.mesh import FaceMesh
from dfd_core.media import read_frames
from dfd_core.media.newest import NewestFrames
from dfd_core.settings import FaceSettings, VideoSettings
from dfd_core.types import Float32Array, Frame, UInt8Array

FACE_SHARE = 200 / 720  # width of the face over the height of the picture
_VARIANTS = 6  # blends that the fake part flickers between
_NOISE = 2.0  # standard deviation of the sensor's noise, of 255
_TAKE_S = 2  # seconds that are rendered and encoded in one go
_NOISE_REACH = 64  # px by which the one noise field is moved at random from frame to frame


@dataclass(frozen=True, slots=True)
class Scene:
    """What is rendered: seconds, picture size in px (even), frames a second, seed of camera and blends."""

    duration: float = 24.0
    fake_from: float = 12.0
    live: int = 0
    size: tuple[int, int] = (1280, 720)
    fps: int = 25
    seed: int = 0
    every: float = 0.0
    fake_for: float = 0.0

    def is_fake(self, time_s: float) -> bool:
        """Whether the face is, at that media time."""
        return time_s % self.every >= self.every - self.fake_for if self.every else time_s >= self.fake_from


def parse_scene(url: str) -> Scene:
    """The scene that a synthetic:// URL describes; raises SettingsError for an unknown or impossible parameter."""
    known: dict[str, Any] = {field.name: type(field.default) for field in fields(Scene)}
    given: dict[str, object] = {}
    for key, text in parse_qsl(urlsplit(url).query, keep_blank_values=True):
        if key not in known:
            raise SettingsError(f"synthetic:// has no parameter '{key}'; it has {', '.join(known)}.")
        try:
            given[key] = tuple(int(side) for side in text.split("x")) if key == "size" else known[key](text)
        except ValueError:
            raise SettingsError(f"'{text}' is no {key} for synthetic://.") from None
    if given.get("every"):
        given.setdefault("duration", math.inf)
    scene = Scene(**given)  # type: ignore[arg-type]
    sides = scene.size
    if len(sides) != 2 or not all(64 <= side <= 8192 and side % 2 == 0 for side in sides):
        raise SettingsError("size of synthetic:// must be two even numbers from 64 to 8192, as 1280x720.")
    if scene.duration <= 0 or not 1 <= scene.fps <= 240:
        raise SettingsError("duration of synthetic:// must be above 0, fps from 1 to 240.")
    if (scene.every or scene.fake_for) and not 0 < scene.fake_for < scene.every:
        raise SettingsError("fake_for of synthetic:// must be above 0 and below every.")
    return scene


def render_synthetic(path: Path, scene: Scene) -> None:
    """Write the scene to `path` (mp4, H.264); raises VideoError where the portrait or a face in it is missing."""
    _encode(path, scene, _pictures(scene))


def _encode(path: Path, scene: Scene, pictures: Iterable[UInt8Array]) -> Path:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=scene.fps)
        stream.width, stream.height = scene.size
        stream.pix_fmt = "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "20", "g": str(scene.fps)}
        for planes in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode())
    return path


def _pictures(scene: Scene) -> Iterator[UInt8Array]:
    """The scene's pictures as YUV 4:2:0 planes, uint8 (H * 3 / 2, W)."""
    real, fakes = _stills(scene)
    rng = np.random.default_rng(scene.seed)
    width, height = scene.size
    camera = _Camera(scene, rng)
    reach = _NOISE_REACH
    noise = rng.normal(0, _NOISE, (height + reach, width + reach)).round().astype(np.int16)
    for index in count():
        time_s = index / scene.fps
        if index >= scene.duration * scene.fps - 0.5:
            return
        still = fakes[int(rng.integers(_VARIANTS))] if scene.is_fake(time_s) else real
        planes = camera.shoot(still, time_s)
        y, x = rng.integers(0, reach, 2)
        luma = planes[:height]
        cv2.add(luma, noise[y : y + height, x : x + width], dst=luma, dtype=cv2.CV_8U)
        yield planes


class _Camera:
    """A hand-held camera before a still: smooth pan, zoom and roll, and light that changes gently."""

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        self._size = scene.size
        self._phases = rng.uniform(0, 2 * np.pi, (5, 2))
        self._rates = rng.uniform(0.15, 0.6, (5, 2)) * [1, 2.3]  # Hz: a slow and a faster swing each

    def shoot(self, planes: UInt8Array, time_s: float) -> UInt8Array:
        """The picture at `time_s`; still and picture are YUV 4:2:0 planes, uint8 (H * 3 / 2, W)."""
        width, height = self._size
        swing = np.sin(2 * np.pi * self._rates * time_s + self._phases) @ [0.75, 0.25]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 2.0 * swing[0], 1.0 + 0.04 * swing[1])
        matrix[:, 2] += [0.04 * width * swing[2], 0.02 * height * swing[3]]
        luma = _warp(planes[:height], matrix)
        half = matrix * [[1, 1, 0.5]]
        chroma = [_warp(plane, half) for plane in planes[height:].reshape(2, height // 2, width // 2)]
        lit = cv2.convertScaleAbs(luma, alpha=1 + 0.05 * swing[4], beta=0)
        return np.concatenate([lit.reshape(-1), *(plane.reshape(-1) for plane in chroma)]).reshape(planes.shape)


def _warp(plane: UInt8Array, matrix: np.ndarray) -> UInt8Array:
    height, width = plane.shape
    moved = cv2.warpAffine(plane, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cast(UInt8Array, moved)


def _stills(scene: Scene) -> tuple[UInt8Array, list[UInt8Array]]:
    """The set with the portrait, and the same with its face blended in several ways, as YUV 4:2:0 planes."""
    portrait = _portrait()
    face, landmarks = _face_of(portrait)
    rng = np.random.default_rng(scene.seed)
    drawn = draw_alteration(rng)
    base = replace(  # a plain case: the whole face, soft and shifted in colour, as a low-resolution swap is
        drawn, altered_is_source=True, part="face", ratio=1.0, sharpness=-1.2, softness=0.05, hue=4, contrast=1.0
    )
    jitters = rng.uniform(-1, 1, (_VARIANTS, 6))
    fakes = [
        blend_with(
            portrait,
            landmarks,
            replace(
                base,
                shift=(0.01 * j[0], 0.01 * j[1]),
                scale=base.scale + 0.01 * j[2],
                value=base.value + 0.03 * j[3],
                sharpness=base.sharpness + 0.4 * j[4],
                grow=base.grow + 0.02 * j[5],
            ),
        )[0]
        for j in jitters
    ]
    return _set(portrait, face, scene.size), [_set(fake, face, scene.size) for fake in fakes]


def _portrait() -> UInt8Array:
    """The sample portrait, found without importing matplotlib."""
    package = importlib.util.find_spec("matplotlib")
    if package is None or package.origin is None:
        raise VideoError("synthetic:// needs matplotlib for its portrait: pip install 'dfd[demo]'.")
    path = Path(package.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    return next(read_frames(str(path), "portrait", VideoSettings())).image


def _face_of(portrait: UInt8Array) -> tuple[Face, Float32Array]:
    faces = FaceFinder(FaceSettings()).find(portrait)
    landmarks = FaceMesh().landmarks(portrait, faces[0]) if faces else None
    if landmarks is None:
        raise VideoError("synthetic:// finds no face in its portrait; are dfd's face models whole?")
    return faces[0], landmarks


def _set(portrait: UInt8Array, face: Face, size: tuple[int, int]) -> UInt8Array:
    """The portrait before a blurred wall of its own colours, face in the middle, as YUV 4:2:0 planes."""
    width, height = size
    wall = cv2.resize(cv2.resize(portrait, (8, 8), interpolation=cv2.INTER_AREA), size, interpolation=cv2.INTER_CUBIC)
    scale = FACE_SHARE * height / face.width
    centre = (face.box[:2] + face.box[2:]) / 2
    place = np.array([[scale, 0, width / 2 - scale * centre[0]], [0, scale, height * 0.45 - scale * centre[1]]])
    flags = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_CUBIC
    picture = cv2.warpAffine(portrait, place, size, dst=wall, flags=flags, borderMode=cv2.BORDER_TRANSPARENT)
    return cast(UInt8Array, cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420))


class SyntheticSource:
    """A rendered scene; as a live source it is paced by its media clock and gives the newest first."""

    def __init__(self, name: str, scene: Scene, settings: VideoSettings) -> None:
        self.name = name
        self.description = "synthetic://"
        self.live = bool(scene.live)
        self.reconnects = 0
        self.trouble: VideoError | None = None
        self.resting = False
        self.clock_drift_s = 0.0
        self._scene = scene
        self._settings = settings
        self._newest = NewestFrames(self._paced, settings.sample_fps)

    @property
    def dropped(self) -> int:
        """Sampled frames that were not fetched in time."""
        return self._newest.dropped

    def frames(self) -> Iterator[Frame]:
        """The scene's sampled frames, to its end."""
        return iter(self._newest) if self.live else self._rendered()

    def _rendered(self) -> Iterator[Frame]:
        """Take after take, each rendered by a thread while the one before it is watched: no wait for a long scene."""
        scene, pictures = self._scene, _pictures(self._scene)
        size = _TAKE_S * scene.fps
        last = math.inf if math.isinf(scene.duration) else math.ceil(round(scene.duration * scene.fps) / size) - 1
        with tempfile.TemporaryDirectory(prefix="dfd-") as folder, ThreadPoolExecutor(1, "studio") as studio:

            def shoot(take: int) -> Future[Path]:
                path = Path(folder) / f"{take}.mp4"
                return studio.submit(_encode, path, scene, islice(pictures, size))

            coming = shoot(0)
            for take in count():
                path = coming.result()
                if take < last:
                    coming = shoot(take + 1)
                for frame in read_frames(str(path), self.name, self._settings):
                    yield replace(frame, time_s=frame.time_s + take * _TAKE_S)
                path.unlink()
                if take >= last:
                    return

    def _paced(self, stop: threading.Event) -> Iterator[Frame]:
        started: float | None = None
        for frame in self._rendered():
            started = time.monotonic() if started is None else started
            if stop.wait(max(0.0, started + frame.time_s - time.monotonic())):
                return
            yield replace(frame, captured_at_s=time.time())


def open_source(url: str, name: str, settings: VideoSettings, live: bool | None = None) -> SyntheticSource:
    """The source for a synthetic:// URL; raises SettingsError for a wrong parameter."""
    scene = parse_scene(url)
    return SyntheticSource(name, scene if live is None else replace(scene, live=int(live)), settings)
