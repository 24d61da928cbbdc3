"""Small real video files for tests, made by the encoders that PyAV brings."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_clip(
    path: Path,
    *,
    frames: int = 50,
    fps: int = 25,
    size: tuple[int, int] = (320, 240),
    rotation: int = 0,
    pts_ms: list[int] | None = None,
    faststart: bool = False,
    crf: int = 23,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> Path:
    """A bar that moves over a red left half, in H.264 unless `codec` differs; `pts_ms` gives irregular times."""
    width, height = size
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options={"movflags": "faststart"} if faststart else {}) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        h264 = {"preset": "ultrafast", "g": str(fps), "crf": str(crf), "threads": "1"}
        stream.options = h264 if options is None else options
        if pts_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        container.start_encoding()
        for index in range(frames):
            image = np.resize(rng.integers(0, 30, 65536, dtype=np.uint8), (height, width, 3))
            image[:, : width // 2, 0] = 200
            image[:, index * 4 % width : index * 4 % width + 8] = 255
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if pts_ms is not None:
                frame.pts = pts_ms[index]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    """One second of silence, without a picture; returns `path`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def picture_bytes(codec: str = "mjpeg", size: tuple[int, int] = (200, 100)) -> bytes:
    """A still whose left half is red, as JPEG (mjpeg), PNG (png) or another of FFmpeg's picture codecs."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[:, : size[0] // 2, 0] = 255
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="image2pipe") as container:
        stream = container.add_stream(codec, rate=1)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj444p" if codec == "mjpeg" else "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()
