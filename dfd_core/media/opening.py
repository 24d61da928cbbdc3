"""Opens a source: FFmpeg's options and timeouts, which stream is read, and why an open failed.

Timeouts are set for each open: PyAV's `timeout=(open, read)` polls FFmpeg's interrupt callback while it waits, and the
`timeout` option of its RTSP client (microseconds) bounds what no callback reaches. Errors carry redacted URLs only, and
are raised `from None`, because the texts of FFmpeg's own errors hold the URL with its password.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from dfd_core.errors import RefusedError, StreamLostError, VideoError
from dfd_core.media.urls import VIDEO_SUFFIXES, is_live, local_path, redact
from dfd_core.settings import VideoSettings

_OTHERS = 3  # streams that are told of one by one
_PICTURES = Disposition.still_image | Disposition.timed_thumbnails


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a source says of itself before decoding; `fps` and `duration_s` are None where it does not say."""

    width: int
    height: int
    fps: float | None
    duration_s: float | None
    still: bool


def probe(url: str, settings: VideoSettings) -> VideoInfo:
    """Size, rate and length of a source without decoding it; raises VideoError."""
    with opened(url, settings, is_live(url)) as (container, stream):
        rate = stream.average_rate or stream.guessed_rate
        length = None if container.duration is None else container.duration / av.time_base
        still = is_picture(container)
        return VideoInfo(stream.width, stream.height, float(rate) if rate else None, None if still else length, still)


@contextmanager
def opened(url: str, settings: VideoSettings, live: bool) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The open container and its picture stream."""
    name, path = redact(url), local_path(url)
    started = time.monotonic()
    try:
        if path is not None:
            _check_file(path)
        container = av.open(
            url if path is None else f"file:{path.absolute()}",
            options=_options(url, settings),
            metadata_errors="replace",  # titles in Latin-1 are no reason not to look at the picture
            timeout=(settings.open_timeout_s, settings.read_timeout_s) if path is None else None,
        )
    except (av.FFmpegError, OSError) as error:
        if path is not None:
            raise VideoError(f"Cannot read {name}: {reason_of(error)}.") from None
        refused = isinstance(error, av.HTTPUnauthorizedError | av.HTTPForbiddenError)
        kind = RefusedError if refused else StreamLostError if live else VideoError
        late = time.monotonic() - started >= settings.open_timeout_s  # FFmpeg's RTSP client calls that damaged data
        why = f"no answer within {settings.open_timeout_s:g} s" if late else reason_of(error)
        raise kind(f"Cannot open {name}: {why}.") from None
    with container:
        if container.format.name == "tty":  # FFmpeg would draw the letters of a text file
            raise VideoError(f"Cannot read {name}: it is text, not video.")
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            raise VideoError(f"{name} has {'sound but ' if container.streams.audio else ''}no picture.")
        streams = [s for s in streams if s.codec_context is not None]
        if not streams:
            raise VideoError(f"Cannot read {name}: FFmpeg has no decoder for its picture, or its headers are damaged.")
        if path is not None and is_picture(container) and path.suffix.lower() in VIDEO_SUFFIXES:
            codec = streams[0].codec_context.name
            raise VideoError(f"{name} is a picture ({codec}) with the name of a video; give it its proper suffix.")
        yield container, max(streams, key=_rank)


def _rank(stream: VideoStream) -> tuple[bool, bool, float, int]:
    """A film before a single picture (a poster, a thumbnail), then the default track, the longest, the largest."""
    length_s = length_of(stream)
    single = stream.frames == 1 or bool(stream.disposition & _PICTURES)
    single |= length_s is not None and length_s * float(stream.average_rate or 25) < 1.5
    is_default = bool(stream.disposition & Disposition.default)
    return not single, is_default, round(length_s or 0.0, 1), stream.width * stream.height


def length_of(stream: VideoStream) -> float | None:
    """Seconds of a stream as the headers say, None where they do not."""
    told = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))  # Matroska's, to its end
    if told is not None:  # FFmpeg gives such a stream the length of the whole
        hours, minutes, seconds = told.groups()
        return max(0.0, int(hours) * 3600 + int(minutes) * 60 + float(seconds) - start_of(stream))
    if stream.duration is None or stream.time_base is None:
        return None
    return float(stream.duration * stream.time_base)


def start_of(stream: VideoStream) -> float:
    """Seconds on the container's clock at which a stream begins; 0 where the headers do not say."""
    return float((stream.start_time or 0) * (stream.time_base or 0))


def others_than(container: InputContainer, chosen: VideoStream) -> str | None:
    """What is to be told where a file has more than one film: which is read, and which are not."""
    parts = Disposition.attached_pic | Disposition.dependent
    films = [s for s in container.streams.video if s.codec_context is not None and not s.disposition & parts]
    if len(films) < 2:
        return None
    others = [_described(stream) for stream in films if stream is not chosen]
    told = ", ".join(others[:_OTHERS]) + (f" and {len(others) - _OTHERS} more" if len(others) > _OTHERS else "")
    return f"read was stream {_described(chosen)}, not {told}"


def _described(stream: VideoStream) -> str:
    length_s = length_of(stream)
    many = "one picture" if stream.frames == 1 else "" if length_s is None else f"{length_s:.1f} s"
    return f"{stream.index} ({stream.codec_context.name} {stream.width}x{stream.height}{many and ', ' + many})"


def _check_file(path: Path) -> None:
    if not path.exists():
        raise VideoError(f"There is no file {path}.")
    if not path.is_file():
        raise VideoError(f"{path} is not a file.")
    if path.stat().st_size == 0:
        raise VideoError(f"{path} is empty.")


def _options(url: str, settings: VideoSettings) -> dict[str, str]:
    """FFmpeg's options for one open; not `nobuffer`, which throws the first key frame away."""
    microseconds = str(int((max(settings.open_timeout_s, settings.read_timeout_s) + 1) * 1e6))  # after PyAV's timeouts
    if local_path(url) is not None:  # a file is a file: a playlist in disguise must not make us fetch what it names
        return {"protocol_whitelist": "file", "pattern_type": "none"}
    if url.lower().startswith(("rtsp://", "rtsps://")):
        return {
            "rtsp_transport": settings.rtsp_transport,
            "timeout": microseconds,
            "allowed_media_types": "video",
        }
    # FFmpeg looks at a stream for up to 5 s before it counts as open; cut short by the timeout, it never reads on
    return {"rw_timeout": microseconds, "analyzeduration": str(int(min(5.0, settings.open_timeout_s / 2) * 1e6))}


def reason_of(error: OSError | av.FFmpegError) -> str:
    """Why an open failed, in words that hold no URL."""
    reasons: dict[type[BaseException], str] = {
        TimeoutError: "no answer",
        ConnectionRefusedError: "nothing listens there; check host and port",
        PermissionError: "permission denied",
        av.HTTPUnauthorizedError: "user name or password refused",
        av.HTTPForbiddenError: "access forbidden",
        av.HTTPNotFoundError: "no such stream there; check the path",
        av.ProtocolNotFoundError: "unknown kind of URL",
        EOFError: "it ends before its first picture",
        av.InvalidDataError: "it is damaged, cut off or not a video",
    }
    for kind, text in reasons.items():
        if isinstance(error, kind):
            return text
    text = (error.strerror or type(error).__name__).lower()
    return "the host cannot be found or reached" if text == "input/output error" else text


def is_picture(container: InputContainer) -> bool:
    """Whether one of FFmpeg's demuxers of single pictures took it."""
    name = container.format.name
    return name == "image2" or name.endswith("_pipe")
