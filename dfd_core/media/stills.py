"""Picture files. FFmpeg decodes most; Pillow tells what they hold, and decodes moving ones and HEIF in tiles."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pillow_heif
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import ExifTags, Image, ImageOps, ImageSequence

from dfd_core.errors import PartialError, VideoError
from dfd_core.media.display import EXIF, UPRIGHT, Orientation
from dfd_core.media.endings import DAMAGED, content_of, has_hole
from dfd_core.media.opening import is_picture
from dfd_core.names import format_time

pillow_heif.register_heif_opener()
Image.MAX_IMAGE_PIXELS = None  # cameras make 200 megapixels; FFmpeg has decoded them before Pillow is asked
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, TypeError, RuntimeError, IndexError, KeyError, struct.error)
"""How Pillow and its plugins tell of damaged files."""
_MILLISECONDS = Fraction(1, 1000)
_SHOWN_MS = 100  # of a picture that does not say for how long
_MOTION = (b"MotionPhoto", b"MicroVideo", b"MotionPhoto_Data")  # what phones call a video behind a photo
_STRICT = ("mjpeg", "png", "apng", "webp")  # decoders that can be told to refuse what is damaged, and only that
_ENTROPY = (
    "mjpeg",
    "webp",
    "libdav1d",
    "av1",
    "hevc",
)  # their bytes look like chance; runs of zeros are none of theirs
_MPO, _TIFF = "MPO", "TIFF"
_HEIF = ("avif", "heic", "heix", "mif1", "msf1", "heim", "heis", "mif2", "miaf")


class Still:
    """A `Reader` of a picture file, which may hold several pictures or move."""

    start_s: float | None = None

    def __init__(
        self, container: InputContainer, video: VideoStream, name: str, path: Path | None, note: Callable[[str], None]
    ) -> None:
        self._name, self._video, self._whole = name, video, True
        self._packets = [] if has_tiles(container) else [p for p in container.demux(video) if p.size]
        self._file = path or b"".join(map(bytes, self._packets))
        self._holds = look_into(self._file)
        self._by_pillow = has_tiles(container) or self._holds.by_pillow
        if has_tiles(container) and path is None:
            raise VideoError(f"{name} is a picture in tiles, which is read from a disk only: download it first.")
        self.orientation: Orientation | None = UPRIGHT if self._by_pillow else self._holds.orientation
        self._whole = self._video.codec_context.name not in _ENTROPY or not has_hole(self._file)
        if self._holds.unread is not None:
            note(self._holds.unread)

    @property
    def pixel(self) -> Fraction | None:
        """Width over height of a pixel; None where unknown."""
        return None if self._by_pillow else self._video.sample_aspect_ratio

    def pictures(self) -> Iterator[VideoFrame]:
        """The picture, or those of a moving one; PartialError where Pillow finds one damaged."""
        if self._by_pillow:
            yield from decoded(self._file, self._name, int(self._video.codec_context.color_trc))
            return
        codec = self._video.codec_context.name
        picture = _first_picture(self._video, self._packets, strictly=codec in _STRICT)
        if picture is None and codec in _STRICT:
            self._whole, picture = False, _first_picture(self._video, self._packets, strictly=False)
        if picture is not None:
            yield picture

    def check(self) -> None:
        """PartialError where the picture is damaged."""
        if not self._whole:
            raise PartialError(DAMAGED.format(self._name))


def is_still(container: InputContainer) -> bool:
    """Whether what was opened is a picture file: one that FFmpeg's demuxers of pictures took, or HEIF in tiles."""
    return is_picture(container) or has_tiles(container)


def has_tiles(container: InputContainer) -> bool:
    """Whether it is a HEIF or AVIF picture of several parts, which FFmpeg leaves to be put together."""
    brand = container.metadata.get("major_brand", "")
    return brand in _HEIF and any(s.disposition & Disposition.dependent for s in container.streams.video)


def _first_picture(video: VideoStream, packets: list[Packet[VideoStream]], *, strictly: bool) -> VideoFrame | None:
    """What a decoder of its own makes of the packets; None where it makes nothing, or `strictly` nothing whole."""
    decoder: VideoCodecContext = av.CodecContext.create(video.codec_context.name, "r")
    decoder.extradata = video.codec_context.extradata
    decoder.options = {"err_detect": "crccheck+bitstream+buffer+explode"} if strictly else {}
    for packet in [*packets, None]:
        try:
            for picture in decoder.decode(packet):
                if not (strictly and picture.is_corrupt):
                    return picture
        except (av.FFmpegError, EOFError):
            continue
    return None


@dataclass(frozen=True, slots=True)
class StillFile:
    """What a picture file holds: whether Pillow is to decode it, how it is turned, and what is not read of it."""

    by_pillow: bool = False
    orientation: Orientation = UPRIGHT
    unread: str | None = None


def look_into(file: Path | bytes) -> StillFile:
    """What Pillow sees in a picture file, without decoding it; of one that it does not know, the usual."""
    try:
        with _opened(file) as image:
            count = getattr(image, "n_frames", 1)
            turned = image.getexif().get(ExifTags.Base.Orientation, 1)
            return StillFile(
                by_pillow=_needs_pillow(image, count),
                orientation=EXIF[turned - 1] if turned in range(1, 9) else UPRIGHT,
                unread=_unread(file, image.format, count),
            )
    except _DAMAGE:
        return StillFile()


def decoded(file: Path | bytes, name: str, curve: int) -> Iterator[VideoFrame]:
    """Every picture of a file that Pillow decodes, upright, RGB, with its time; PartialError where one is damaged."""
    time_ms = 0
    try:
        with _opened(file) as image:
            for picture in [image] if image.format == _TIFF else ImageSequence.Iterator(image):
                shown = ImageOps.exif_transpose(picture).convert("RGB")
                frame = VideoFrame.from_ndarray(np.asarray(shown), format="rgb24")
                frame.pts, frame.time_base, frame.color_trc = time_ms, _MILLISECONDS, curve
                yield frame
                time_ms += round(picture.info.get("duration") or _SHOWN_MS)
    except _DAMAGE as error:
        if not time_ms:
            raise VideoError(f"{name} cannot be decoded ({type(error).__name__}); is the file whole?") from None
        text = f"{name} was read to {format_time(time_ms / 1000)}; the rest is damaged ({type(error).__name__})."
        raise PartialError(text, time_ms / 1000) from None


@contextmanager
def _opened(file: Path | bytes) -> Iterator[Image.Image]:
    source = io.BytesIO(file) if isinstance(file, bytes) else file
    with warnings.catch_warnings(action="ignore"), Image.open(source) as image:  # warnings of damaged metadata
        yield image


def _needs_pillow(image: Image.Image, count: int) -> bool:
    """Of pictures that move, and of JPEG in TIFF, FFmpeg makes one picture, or false colours."""
    if image.format == _TIFF:
        return image.info.get("compression") == "jpeg"
    return count > 1 and image.format != _MPO


def _unread(file: Path | bytes, kind: str | None, count: int) -> str | None:
    """What a player of pictures would not show at once."""
    if kind in ("JPEG", _MPO) and _has_video(file):
        return "the video behind the photo was not read"
    if kind in (_MPO, _TIFF) and count > 1:
        return f"of {count} pictures in it the first was read"
    return None


def _has_video(file: Path | bytes) -> bool:
    data = content_of(file)
    return any(data.find(mark) >= 0 for mark in _MOTION) and data.find(b"ftyp") >= 0
