"""A video once more through an encoder, as every sharing site does to it: for measuring what a detector still sees."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame

from dfd_core.errors import DataError, VideoError


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


def reencode(path: Path, target: Path, plan: Reencoding, seconds: float) -> Path:
    """Write the first `seconds` of the video `path` to `target`, an .mp4; times, shape and colours are kept.

    VideoError where it cannot be read, or has no picture.
    """
    try:
        with av.open(str(path)) as source, av.open(str(target), "w") as sink:
            _copy(source, sink, plan, seconds)
    except (FFmpegError, OSError, ValueError, IndexError) as error:
        raise VideoError(f"{path.name} cannot be encoded again ({type(error).__name__}).") from None
    return target


def _copy(source: Any, sink: Any, plan: Reencoding, seconds: float) -> None:
    given = source.streams.video[0]
    encoder, start = None, 0.0
    for frame in source.decode(given):
        time_s = frame.time or 0.0
        if encoder is None:
            encoder, start = _encoder(sink, given, frame, plan), time_s
        if time_s - start >= seconds:
            break
        sink.mux(encoder.encode(frame.reformat(encoder.width, encoder.height, "yuv420p")))
    if encoder is None:
        raise ValueError
    sink.mux(encoder.encode(None))


def _encoder(sink: Any, given: Any, first: VideoFrame, plan: Reencoding) -> Any:
    encoder = sink.add_stream("libx264", rate=given.average_rate or given.guessed_rate or 25)
    encoder.width, encoder.height = (max(16, round(side * plan.scale / 2) * 2) for side in (first.width, first.height))
    encoder.pix_fmt, encoder.codec_context.time_base = "yuv420p", first.time_base
    encoder.options = {"crf": str(plan.crf), "preset": "medium"}
    context = encoder.codec_context
    context.sample_aspect_ratio = given.sample_aspect_ratio or 1
    context.color_trc, context.color_primaries, context.colorspace = (
        first.color_trc,
        first.color_primaries,
        first.colorspace,
    )
    matrix = first.side_data.get("DISPLAYMATRIX")
    if matrix is not None:
        encoder.set_display_matrix(np.frombuffer(bytes(cast(Any, matrix)), np.int32).tolist())
    return encoder
