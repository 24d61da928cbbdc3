"""Short videos of one still face: a virtual camera, gentle motion of the face, a manipulation, and a real encoder.

Both classes go the same way: the same camera and the same motion, then the manipulation, or none, frame by frame, then
sensor noise and H.264 (once, or twice as after an upload). So nothing but the manipulation
(trainer/fakes/kinds) tells them apart. Faces that are fake as a whole (restored, generated) are filmed as
they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from dfd_core.types import Float32Array, UInt8Array
from trainer.data.face_pool import FacePool, Picture
from trainer.fakes.kinds import filmed_fake_named
from trainer.fakes.motion import FPS, smooth_paths

AUTHENTIC = "authentic"
_FIELD = 7  # points a side of the coarse grid that moves the face
_GRID = np.linspace(-1, 1, _FIELD)
_JAW = np.zeros((_FIELD, _FIELD, 2), np.float32)  # the chin goes down, all above the mouth stays
_JAW[..., 1] = np.clip(_GRID * 2, 0, 1)[:, None] * np.exp(-((_GRID / 0.5) ** 2))[None]
_PRESETS = ("ultrafast", "superfast", "veryfast", "fast", "medium")


@dataclass(frozen=True, slots=True)
class Clip:
    """How a clip is filmed and stored."""

    seconds: float = 2.2
    sides: tuple[int, int] = (144, 400)  # px of the picture, of which the face is some 5/8
    crf: tuple[int, int] = (17, 37)
    twice_share: float = 0.3  # encoded, perhaps made smaller, and encoded again
    noise: tuple[float, float] = (0.0, 5.0)  # deviation of the sensor's, of 255
    least_ratio: float = 0.0  # strength of the blend: weaker ones are drawn again


def make_clip(
    pool: FacePool, kind: str, index: int, path: Path, rng: np.random.Generator, *, plan: Clip | None = None
) -> Path:
    """Write a clip of face `index` to `path`, an .mp4, with the manipulation `kind` made on the way, or none.

    A face that is fake as a whole is filmed under the kind `authentic`: its picture is the fake. Clips of one state of
    `rng` have the same camera and the same encoder, whatever their kind.
    """
    plan = plan or Clip()
    camera, change, storage = rng.spawn(3)
    frames = list(film(pool.read(index, camera.random()), plan, camera))
    if kind != AUTHENTIC:
        fake = filmed_fake_named(kind)
        other = pool.read(pool.alike(index, change), change.random()) if fake.needs_other else None
        frames = list(fake.film(frames, other, change, plan.least_ratio))
    _store([image for image, _ in frames], path, plan, storage)
    return path


def _store(frames: Sequence[UInt8Array], path: Path, plan: Clip, rng: np.random.Generator) -> None:
    """Sensor noise, and one encoder or two."""
    sigma, noisy = rng.uniform(*plan.noise), []
    for image in frames:
        grain = rng.normal(0, sigma, image.shape).astype(np.float32)
        noisy.append(np.clip(np.rint(image + grain), 0, 255).astype(np.uint8))
    if rng.random() < plan.twice_share:
        encode(noisy, path, int(rng.integers(*plan.crf)), str(rng.choice(_PRESETS)))
        side = max(112, round(noisy[0].shape[0] * rng.uniform(0.6, 1.0)))
        noisy = [np.asarray(cv2.resize(i, (side, side), interpolation=cv2.INTER_AREA), np.uint8) for i in decoded(path)]
    encode(noisy, path, int(rng.integers(*plan.crf)), str(rng.choice(_PRESETS)))


def film(picture: Picture, plan: Clip, rng: np.random.Generator) -> Iterator[tuple[UInt8Array, Float32Array]]:
    """Frames uint8 (S, S, 3) RGB of a picture under a moving camera, with the landmarks float32 (468, 2) px in each."""
    side = round(float(np.exp(rng.uniform(*np.log(plan.sides)))) / 2) * 2
    face = float((picture.box[2:] - picture.box[:2]).max())
    source, scale = _shrunk(picture.image, side / (face * 1.6))
    centre = np.asarray((picture.box[:2] + picture.box[2:]) / 2 * np.float32(scale), np.float32)
    scene = _Scene(source, picture.landmarks * np.float32(scale), centre, face * scale)
    pixel = scene.face * 1.6 / side  # of the picture, in px of the source
    count = round(plan.seconds * FPS)
    camera = smooth_paths(rng, count, (0.03, 0.03, 0.03, 0.05), (0.1, 0.7))  # shift x and y, zoom, angle
    fields = rng.normal(0, 1, (3, _FIELD, _FIELD, 2)).astype(np.float32)
    sway = smooth_paths(rng, count, (0.012, 0.012, 0.012), (0.2, 1.5)) * scene.face
    talk = smooth_paths(rng, count, (0.025,), (1.5, 4.0))[:, 0] * scene.face
    tremor = rng.normal(0, rng.uniform(0, 0.4) * pixel, (len(camera), 2))
    for (right, down, zoom, turn), shake, swayed, talks in zip(camera, tremor, sway, talk, strict=True):
        c, s = np.cos(turn) * pixel * (1 + zoom), np.sin(turn) * pixel * (1 + zoom)
        to_source = np.array([[c, -s], [s, c]], np.float32)
        shift = np.array([right, down]) * pixel * side + shake
        at = np.asarray(scene.centre + shift - to_source @ np.full(2, side / 2), np.float32)
        yield scene.seen(side, to_source, at, np.tensordot(swayed, fields, axes=1) + _JAW * talks)


def encode(frames: Sequence[UInt8Array], path: Path, crf: int, preset: str) -> None:
    """Write frames uint8 (S, S, 3) RGB as an H.264 .mp4 of `FPS` frames a second; odd sides lose a row and a column."""
    height, width = (side // 2 * 2 for side in frames[0].shape[:2])
    with av.open(str(path), "w") as sink:
        stream = sink.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options, stream.codec_context.thread_count = {"crf": str(crf), "preset": preset}, 1
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
            sink.mux(stream.encode(picture))
        sink.mux(stream.encode(None))


def decoded(path: Path) -> list[UInt8Array]:
    """All frames of a video file, uint8 (H, W, 3) RGB."""
    with av.open(str(path)) as source:
        return [np.asarray(f.to_ndarray(format="rgb24"), np.uint8) for f in source.decode(video=0)]


def _shrunk(image: UInt8Array, scale: float) -> tuple[UInt8Array, float]:
    """The picture, smaller by area where it is much larger than what is seen of it, or the camera would alias."""
    if scale > 0.67:
        return image, 1.0
    first = min(1.0, scale * 1.4)
    return np.asarray(cv2.resize(image, None, fx=first, fy=first, interpolation=cv2.INTER_AREA), np.uint8), first


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """What is filmed: the source uint8 (H, W, 3), its landmarks (468, 2) px, the box's centre and size, px of it."""

    source: UInt8Array
    landmarks: Float32Array
    centre: Float32Array
    face: float

    def seen(
        self, side: int, to_source: Float32Array, at: Float32Array, motion: Float32Array
    ) -> tuple[UInt8Array, Float32Array]:
        """Pixel u of `side` px shows the source at x + d(x), x = to_source u + at, and d is `motion` on the face."""
        height, width = self.source.shape[:2]
        xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        away = np.maximum(np.abs(xs - self.centre[0]), np.abs(ys - self.centre[1])) / self.face  # 0.5: the box's edge
        field = cv2.resize(motion, (width, height), interpolation=cv2.INTER_CUBIC)
        field = field * np.clip((0.75 - away) / 0.35, 0, 1)[..., None]  # the surround keeps still
        columns, rows = np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32))
        x, y = (to_source[i, 0] * columns + to_source[i, 1] * rows + at[i] for i in range(2))
        moved = cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        x, y = x + moved[..., 0], y + moved[..., 1]
        image = cv2.remap(self.source, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        places = np.clip(np.rint(np.nan_to_num(self.landmarks)).astype(int), 0, (width - 1, height - 1))
        points = self.landmarks - field[places[:, 1], places[:, 0]]
        return np.asarray(image, np.uint8), np.asarray((points - at) @ np.linalg.inv(to_source).T, np.float32)
