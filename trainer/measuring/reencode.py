"""A video once more through an encoder, as every sharing site does to it: for measuring what a detector still sees."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from dfd_core.errors import DataError, VideoError
from dfd_core.media.film import Film
from dfd_core.media.opening import opened
from dfd_core.media.side_data import side_data_of
from dfd_core.settings import VideoSettings


@dataclass(frozen=True, slots=True)
class Reencoding:
    """H.264 at a constant rate factor, after scaling both sides."""

    crf: int = 23  # 0 (lossless) to 51
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.crf <= 51:
            raise DataError(f"--crf must be between 0 and 51, not {self.crf}.")
        if not 0.05 <= self.scale <= 1:
            raise DataError(f"--scale must be between 0.05 and 1, not {self.scale}.")


def reencode(path: Path, target: Path, plan: Reencoding, seconds: float, settings: VideoSettings) -> Path:
    """Write the first `seconds` of the film of `path` to `target`, an .mp4; times, shape and colours are kept.

    VideoError where it cannot be read, or has no picture; PartialError, once all that there is was written, where less
    could be read than it says to hold.
    """
    with opened(str(path), settings, live=False) as (container, video):
        film = Film(container, video, str(path), settings, live=False, note=lambda _: None)
        try:
            with av.open(str(target), "w") as sink:
                to_the_end = _copy(film, video, sink, plan, seconds)
        except (FFmpegError, OSError, ValueError) as error:
            raise VideoError(f"{path} cannot be encoded again ({type(error).__name__}).") from None
        if to_the_end:
            film.check()
    return target


def _copy(film: Film, video: VideoStream, sink: OutputContainer, plan: Reencoding, seconds: float) -> bool:
    """Whether all of the film was asked for."""
    encoder, start, to_the_end = None, 0.0, True
    for frame in film.pictures():
        time_s = frame.time or 0.0
        if encoder is None:
            encoder, start = _encoder(sink, film, video, frame, plan), time_s
        if time_s - start >= seconds:
            to_the_end = False
            break
        sink.mux(encoder.encode(frame.reformat(encoder.width, encoder.height, "yuv420p")))
    if encoder is None:
        raise ValueError
    sink.mux(encoder.encode(None))
    return to_the_end


def _encoder(sink: OutputContainer, film: Film, video: VideoStream, first: VideoFrame, plan: Reencoding) -> Any:
    encoder: Any = sink.add_stream("libx264", rate=video.average_rate or video.guessed_rate or 25)
    encoder.width, encoder.height = (max(16, round(side * plan.scale / 2) * 2) for side in (first.width, first.height))
    encoder.pix_fmt, encoder.codec_context.time_base = "yuv420p", first.time_base
    encoder.options = {"crf": str(plan.crf), "preset": "medium"}
    context = encoder.codec_context
    context.sample_aspect_ratio = film.pixel or 1
    for name in ("color_trc", "color_primaries", "colorspace"):
        setattr(context, name, getattr(first, name))
    matrix = side_data_of(first, "DISPLAYMATRIX")
    if matrix is not None:
        encoder.set_display_matrix(np.frombuffer(bytes(matrix), np.int32).tolist())
    return encoder
