"""Opens a source: FFmpeg's options and timeouts, which stream is read, and why an open failed.

Timeouts are set for each open: PyAV's `timeout=(open, read)` polls FFmpeg's interrupt callback while it waits, and the
`timeout` option of its RTSP client (microseconds) bounds what no callback reaches. Errors carry redacted URLs only, and
are raised `from None`, because the texts of FFmpeg's own errors hold the URL with its password.
"""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from dfd_core.errors import RefusedError, StreamLostError, VideoError
from dfd_core.media.limits import check_bytes, check_size
from dfd_core.media.protocols import check_kind, options_for
from dfd_core.media.urls import VIDEO_SUFFIXES, for_ffmpeg, is_live, local_path, redact, scheme_of
from dfd_core.settings import VideoSettings

_OTHERS = 3  # streams that are told of one by one
_OF_CAMERAS = {
    errno.ENOENT: "there is no such device; ls /dev/video* names those that are there",
    errno.EACCES: "permission denied; let this user into the group that owns it, mostly video",
    errno.EBUSY: "another program has it open",
    **dict.fromkeys((errno.ENOTTY, errno.ENODEV, errno.ENXIO, errno.EISDIR), "it is no camera, or one not plugged in"),
    errno.EIO: "it gives no picture; plug it in anew, or into another port",
}
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
            _check_file(path, name)
            check_bytes(name, path.stat().st_size, settings)
        check_kind(url)
        container = av.open(
            for_ffmpeg(url) if path is None else f"file:{path.absolute()}",
            format="v4l2" if scheme_of(url) == "v4l2" else None,
            options=options_for(url, settings),
            metadata_errors="replace",  # titles in Latin-1 are no reason not to look at the picture
            timeout=(settings.open_timeout_s, settings.read_timeout_s) if path is None else None,
        )
    except (av.FFmpegError, OSError) as error:
        if path is not None:
            raise VideoError(f"Cannot read {name}: {reason_of(error)}.") from None
        late = time.monotonic() - started >= settings.open_timeout_s  # FFmpeg's RTSP client calls that damaged data
        why = f"no answer within {settings.open_timeout_s:g} s" if late else reason_of(error, scheme_of(url))
        raise error_of(error, live)(f"Cannot open {name}: {why}.") from None
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
        chosen = max(streams, key=_rank)
        if path is None and not live:
            check_bytes(name, container.size, settings)
        check_size(name, chosen.width, chosen.height, settings)
        yield container, chosen


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


def _check_file(path: Path, name: str) -> None:
    if not path.exists():
        raise VideoError(f"{name} is not there: check its name.")
    if not path.is_file():
        raise VideoError(f"{name} is a folder, a pipe or a device: give a file.")
    if path.stat().st_size == 0:
        raise VideoError(f"{name} is empty.")


def error_of(error: OSError | av.FFmpegError, live: bool) -> type[VideoError]:
    """The kind of error that FFmpeg's is for whoever reads a source."""
    if isinstance(error, av.HTTPUnauthorizedError | av.HTTPForbiddenError):
        return RefusedError
    return StreamLostError if live else VideoError


def comes_in_segments(container: InputContainer) -> bool:
    """Whether it is a list of segments, each of which is fetched at once (HLS, DASH)."""
    return container.format.name.split(",")[0] in ("hls", "dash")


def is_endless(container: InputContainer, stream: VideoStream, url: str) -> bool:
    """Whether an open source is live: its kind always is, or, over HTTP, it does not say where it ends.

    A list of segments has a length once it is finished, a file one in bytes; a film whose index is whole needs none.
    """
    if scheme_of(url) not in ("http", "https"):
        return is_live(url)
    if comes_in_segments(container):
        return not container.duration
    return container.format.name == "mpjpeg" or (container.size <= 0 and stream.frames == 0)


def found_live(url: str, settings: VideoSettings) -> bool:
    """Whether `url` gives frames at its own pace; HTTP is asked, and where nobody answers, its name must do."""
    if scheme_of(url) in ("http", "https"):
        with suppress(VideoError), opened(url, settings, is_live(url)) as (container, stream):
            return is_endless(container, stream, url)
    return is_live(url)


def reason_of(error: OSError | av.FFmpegError, scheme: str = "") -> str:
    """Why an open failed, in words that hold no URL."""
    if scheme == "v4l2" and error.errno in _OF_CAMERAS:
        return _OF_CAMERAS[error.errno]
    reasons: dict[type[BaseException], str] = {
        MemoryError: "it takes more memory than there is, or video.max_memory_bytes allows",
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
