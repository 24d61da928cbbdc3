"""What cameras show: a minute of a face that is fake throughout, in any size, rate and codec."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import av

from ingest.sources.synthetic import Scene, render_synthetic

H264 = "h264"
SHORT = 64  # pictures
_ENCODERS = {
    "hevc": ("libx265", {"preset": "ultrafast", "crf": "18", "x265-params": "log-level=error"}),
    "mjpeg": ("mjpeg", {"qscale": "2"}),
    "vp8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "crf": "6", "b": "2M"}),
}
OTHERS = tuple(_ENCODERS)


def clip(path: Path, size: tuple[int, int] = (480, 270), fps: int = 8, seed: int = 0) -> Path:
    """As H.264, rendered once."""
    if not path.exists():
        render_synthetic(path, Scene(duration=60.0, fake_from=0.0, size=size, fps=fps, seed=seed))
    return path


def encoded(path: Path, codec: str) -> Path:
    """Its first seconds in another of `OTHERS`, as Matroska beside it, made once."""
    target = path.with_suffix(f".{codec}.mkv")
    if target.exists():
        return target
    encoder, options = _ENCODERS[codec]
    with av.open(str(path)) as source, av.open(str(target), "w") as film:
        pictures = source.streams.video[0]
        stream = film.add_stream(encoder, rate=pictures.average_rate)
        stream.width, stream.height = pictures.width, pictures.height
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.options = options
        for frame in islice(source.decode(pictures), SHORT):
            film.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        film.mux(stream.encode())
    return target
