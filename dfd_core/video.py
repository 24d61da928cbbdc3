"""A URL or a path to sampled `Frame`s: the only module that knows the decoder, which is FFmpeg through PyAV.

Timeouts are set for each open: PyAV's `timeout=(open, read)` polls FFmpeg's interrupt callback while it waits, and the
`timeout` option of its RTSP client (microseconds) bounds what no callback reaches. Errors carry redacted URLs only, and
are raised `from None`, because the texts of FFmpeg's own errors hold the URL with its password.
"""

from __future__ import annotations

import hashlib
import logging
import math
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from dfd_core.compression import quantisers_of, upright
from dfd_core.errors import StreamLostError, VideoError
from dfd_core.settings import VideoSettings
from dfd_core.types import Frame, UInt8Array

STILL_SUFFIXES = frozenset({".avif", ".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})
VIDEO_SUFFIXES = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv"}
    | {".ts", ".webm", ".wmv"}
)
MEDIA_SUFFIXES = VIDEO_SUFFIXES | STILL_SUFFIXES
_LIVE_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "rtmpt", "srt", "udp", "rtp"})
_ROUNDING_S = 0.002  # containers that keep milliseconds round a PTS by up to half of one; clocks jitter a little more
_DISORDER_S = 1.0  # by more than this no picture is early or late; see _Clock

_log = logging.getLogger("dfd.video")


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a source says of itself before decoding; `fps` and `duration_s` are None where it does not say."""

    width: int
    height: int
    fps: float | None
    duration_s: float | None
    still: bool


def redact(url: str) -> str:
    """`url` as scheme://host[:port]/path, fit to be shown: without user, password and query; paths stay as they are.

    All before the last @ goes, because passwords hold every character, quoted or not.
    """
    scheme, slashes, rest = url.partition("://")
    if not slashes:
        scheme, slashes, rest = url.partition(":/")  # the one-slash typing error hides no password either
    if not slashes or scheme.lower() == "file":
        return url
    return f"{scheme}://" + re.split(r"[?#]", rest.rpartition("@")[2], maxsplit=1)[0]


def local_path(url: str) -> Path | None:
    """The file that `url` names, None for everything that is not on this machine."""
    if url.lower().startswith("file://"):
        return Path(unquote(urlsplit(url).path))
    return Path(url) if re.match(r"[A-Za-z][\w+.-]+:/", url) is None else None


def is_live(url: str) -> bool:
    """Whether `url` gives frames at its own pace: cameras and HTTP streams, but not paths or video files over HTTP."""
    scheme = url.partition("://")[0].lower()
    if scheme in ("http", "https"):
        return Path(urlsplit(url).path).suffix.lower() not in MEDIA_SUFFIXES
    return scheme in _LIVE_SCHEMES


def stream_name(url: str) -> str:
    """A stable id of letters, digits, - and _, as `clip-mp4` or `camera-stream`; a query adds 4 digits of its hash."""
    path = local_path(url)
    if path is not None:
        text = path.name
    else:
        text = redact(url).partition("://")[2] or url.partition(":")[0]
        query = urlsplit(url).query if is_live(url) else ""
        text += "-" + hashlib.sha256(query.encode()).hexdigest()[:4] if query else ""
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")[-64:].strip("-") or "stream"


def stream_names(urls: Iterable[str]) -> list[str]:
    """The `stream_name` of each of `urls`, made distinct by -2, -3, ... in order."""
    names: list[str] = []
    for base in map(stream_name, urls):
        taken = set(names)
        tries = (base if n == 1 else f"{base}-{n}" for n in range(1, len(taken) + 2))
        names.append(next(name for name in tries if name not in taken))
    return names


def probe(url: str, settings: VideoSettings) -> VideoInfo:
    """Size, rate and length of a source without decoding it; raises VideoError."""
    with _opened(url, settings, is_live(url)) as (container, stream):
        rate = stream.average_rate or stream.guessed_rate
        length = None if container.duration is None else container.duration / av.time_base
        still = _is_still(container)
        return VideoInfo(stream.width, stream.height, float(rate) if rate else None, None if still else length, still)


def read_frames(url: str, stream: str, settings: VideoSettings, live: bool | None = None) -> Iterator[Frame]:
    """Frames of `url` at `settings.sample_fps` by PTS, in order, from media time 0; one frame of a still.

    Only frames that are yielded are converted. A file ends the iterator, a live source never does: it raises
    StreamLostError when it ends, refuses or gives no picture for `read_timeout_s`. Other trouble is a VideoError.
    """
    live = is_live(url) if live is None else live
    with _opened(url, settings, live) as (container, video):
        video.codec_context.options = {"export_side_data": "venc_params"}  # for quantisers_of
        video.thread_type = "SLICE" if live else "AUTO"  # threads by frame are faster, but each holds a frame back
        clock = _Clock(float(1 / (video.average_rate or video.guessed_rate or 25)))
        sampler = _Sampler(settings.sample_fps)
        index = -1
        for index, picture in enumerate(_pictures(container, video, redact(url), settings, live)):
            captured_at_s = time.time()
            time_s = clock.media_s(picture.time)
            if sampler.takes(time_s):
                image, quantisers = _image(picture, settings.max_pixels), quantisers_of(picture)
                yield Frame(stream, index, time_s, captured_at_s, image, quantisers)
    if live:
        raise StreamLostError(f"{redact(url)} ended its stream.")
    if index < 0:
        raise VideoError(f"{redact(url)} has no picture that can be decoded; is the file whole?")


@contextmanager
def _opened(url: str, settings: VideoSettings, live: bool) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The open container and its picture stream."""
    name, path = redact(url), local_path(url)
    started = time.monotonic()
    try:
        if path is not None:
            _check_file(path)
        container = av.open(
            url if path is None else f"file:{path.absolute()}",
            options=_options(url, settings),
            timeout=(settings.open_timeout_s, settings.read_timeout_s) if path is None else None,
        )
    except (av.FFmpegError, OSError) as error:
        if path is not None:
            raise VideoError(f"Cannot read {name}: {_reason(error)}.") from None
        kind = StreamLostError if live else VideoError
        late = time.monotonic() - started >= settings.open_timeout_s  # FFmpeg's RTSP client calls that damaged data
        why = f"no answer within {settings.open_timeout_s:g} s" if late else _reason(error)
        raise kind(f"Cannot open {name}: {why}.") from None
    with container:
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if container.format.name == "tty":  # FFmpeg would draw the letters of a text file
            raise VideoError(f"Cannot read {name}: it is text, not video.")
        if not streams:
            raise VideoError(f"{name} has {'sound but ' if container.streams.audio else ''}no picture.")
        if path is not None and _is_still(container) and path.suffix.lower() in VIDEO_SUFFIXES:
            codec = streams[0].codec_context.name
            raise VideoError(f"{name} is a picture ({codec}) with the name of a video; give it its proper suffix.")
        yield container, max(streams, key=lambda s: s.width * s.height)


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


def _reason(error: OSError | av.FFmpegError) -> str:
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


def _is_still(container: InputContainer) -> bool:
    name = container.format.name
    return name == "image2" or name.endswith("_pipe")


def _pictures(
    container: InputContainer, video: VideoStream, name: str, settings: VideoSettings, live: bool
) -> Iterator[VideoFrame]:
    """Every whole picture in order of presentation; damaged ones are skipped."""
    last_s, damaged = 0.0, 0
    last_at = time.monotonic() + settings.open_timeout_s  # joined between key frames, the first picture takes a while
    network = live or "://" in name
    try:
        for packet in container.demux(video):
            try:
                pictures = packet.decode()
            except av.InvalidDataError:
                damaged += 1
                pictures = []
            for picture in pictures:
                last_s = picture.time or last_s
                if not picture.is_corrupt:
                    yield picture
                    last_at = time.monotonic()
            if live and time.monotonic() - last_at > settings.read_timeout_s:
                raise StreamLostError(f"{name} gave no picture for {settings.read_timeout_s:g} s.")
    except (av.ExitError, TimeoutError):
        kind = StreamLostError if live else VideoError
        raise kind(f"{name} sent nothing for {settings.read_timeout_s:g} s.") from None
    except (av.FFmpegError, OSError) as error:
        if network:
            kind = StreamLostError if live else VideoError
            raise kind(f"{name} was lost: {_reason(error)}.") from None
        _log.warning("%s is damaged after %.1f s; the rest is not read.", name, last_s)
    if damaged and not live:
        _log.warning("%s has %d damaged packets, which were skipped.", name, damaged)


class _Clock:
    """Media seconds from PTS: from 0 on and always rising.

    A jump back of over a second is a stream that loops or restarts, and its clock goes on from there; a smaller one is
    a container without true PTS (AVI with B-frames), where pictures in order are a step apart.
    """

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        self._offset_s: float | None = None
        self._last_s = -step_s

    def media_s(self, pts_s: float | None) -> float:
        """The media time of the next picture; without a PTS it is one step after the last."""
        following_s = self._last_s + self._step_s
        if pts_s is None:
            self._last_s = following_s
        elif self._offset_s is None or pts_s + self._offset_s < self._last_s - _DISORDER_S:
            self._offset_s = following_s - pts_s
            self._last_s = following_s
        else:
            ahead = pts_s + self._offset_s > self._last_s
            self._last_s = pts_s + self._offset_s if ahead else following_s
        return self._last_s


class _Sampler:
    """Takes the first picture at or after each multiple of 1 / fps."""

    def __init__(self, fps: float) -> None:
        self._period_s = 1 / fps
        self._due_s = 0.0

    def takes(self, time_s: float) -> bool:
        """Whether the picture at `time_s` is looked at."""
        if time_s + _ROUNDING_S < self._due_s:
            return False
        self._due_s = (math.floor((time_s + _ROUNDING_S) / self._period_s) + 1) * self._period_s
        return True


def _image(picture: VideoFrame, max_pixels: int) -> UInt8Array:
    """The picture as uint8 (H, W, 3) RGB, upright, with at most `max_pixels`."""
    scale = math.sqrt(max_pixels / (picture.width * picture.height))
    if scale < 1:
        width, height = (max(2, int(side * scale) // 2 * 2) for side in (picture.width, picture.height))
        picture = picture.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
    return np.ascontiguousarray(upright(picture.to_ndarray(format="rgb24"), picture), np.uint8)
