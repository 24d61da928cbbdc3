"""Decodes the pictures of a film, and keeps count of how much of it could be read."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from dfd_core.errors import PartialError, StreamLostError, VideoError
from dfd_core.media.coverage import Coverage
from dfd_core.media.display import Orientation
from dfd_core.media.endings import BARE, DAMAGED, TELL_END, TELL_LENGTH, has_hole, path_of
from dfd_core.media.opening import error_of, others_than, reason_of
from dfd_core.media.urls import scheme_of
from dfd_core.names import format_time
from dfd_core.settings import VideoSettings

_log = logging.getLogger("dfd.video")
_COLOURS = {"color_trc": 2, "color_primaries": 2, "colorspace": 2, "color_range": 0}  # what says nothing: ITU-T H.273


class Film:
    """A `Reader` of a video stream, of a file or live."""

    orientation: Orientation | None = None

    def __init__(
        self,
        container: InputContainer,
        video: VideoStream,
        name: str,
        settings: VideoSettings,
        *,
        live: bool,
        note: Callable[[str], None],
    ) -> None:
        self._container, self._video, self._name = container, video, name
        self._settings, self._live = settings, live
        self._coverage = None if live else Coverage(container, video)
        self._damaged = 0
        self.start_s = None if live or container.start_time is None else container.start_time / av.time_base
        video.codec_context.options = {"export_side_data": "venc_params"}  # for quantisers_of
        by_slice = live or video.codec_context.name == "h264"
        # Threads by frame are faster, but each holds a frame back, and of H.264 FFmpeg then tells quantisers that are
        # still being decoded: others at each run.
        video.thread_type = "SLICE" if by_slice else "AUTO"
        if live:  # many are read at once: a thread more costs each a tenth more of a core, and memory
            video.codec_context.thread_count = 1
        self._colours = {name: int(getattr(video.codec_context, name)) for name in _COLOURS}  # as the container says
        self._first_pixel = video.codec_context.sample_aspect_ratio  # broadcasts change it on the way
        others = None if live else others_than(container, video)
        if others is not None:
            note(others)
        kind = container.format.name.split(",")[0]
        if not live and kind not in (*TELL_LENGTH, *TELL_END):
            what = f"a bare {kind} stream" if kind in BARE else f"a file of the kind {kind}"
            note(f"it is {what}, of which nobody can tell whether any is missing")

    @property
    def pixel(self) -> Fraction | None:
        """Width over height of a pixel; None where unknown."""
        now = self._video.codec_context.sample_aspect_ratio
        return self._video.sample_aspect_ratio if now in (None, self._first_pixel) else now

    def pictures(self) -> Iterator[VideoFrame]:
        """Every whole picture in order of presentation; damaged ones are skipped."""
        damaged = self._damaged
        last_at = time.monotonic() + self._settings.open_timeout_s  # joined between key frames, the first takes a while
        try:
            for packet in self._container.demux():  # after a silence, FFmpeg first gives out what it held back before
                if self._live and time.monotonic() - last_at > self._settings.read_timeout_s:
                    raise self._lost(self._silence(self._damaged - damaged))
                for picture in self._decoded(packet):
                    yield picture
                    last_at, damaged = time.monotonic(), self._damaged
        except (av.ExitError, TimeoutError):
            raise self._lost(f"sent nothing for {self._settings.read_timeout_s:g} s") from None
        except (av.FFmpegError, OSError) as error:
            if self._live or "://" in self._name:
                raise error_of(error, self._live)(f"{self._name} was lost: {reason_of(error)}.") from None
            self._damage()
        except IndexError:  # PyAV's, at the end of a file in which more streams came up on the way
            self._damage()

    def check(self) -> None:
        """PartialError where pictures are missing for more than a tenth of the film, or for more than ten seconds."""
        if self._coverage is None:
            return
        is_picture = self._coverage.is_picture or self._container.format.name == "gif"
        path = path_of(self._container) if is_picture else None
        if path is not None and has_hole(path):
            raise PartialError(DAMAGED.format(self._name))
        reach = self._coverage.result()
        if reach.partial:
            how_far = f"read {'to' if reach.from_the_start else 'for'} {format_time(reach.read_s)}"
            of_s = None if reach.of_s is None else round(reach.of_s, 3)
            of_all = (
                ", where it is cut off" if of_s is None else f" of {format_time(of_s)}; the rest is missing or damaged"
            )
            raise PartialError(f"{self._name} was {how_far}{of_all}.", round(reach.read_s, 3), of_s)
        if self._damaged:
            _log.warning("%s has %d damaged packets, which were skipped.", self._name, self._damaged)

    def _decoded(self, packet: Packet[Any]) -> Iterator[VideoFrame]:
        """The whole pictures that a packet completes; none of other streams."""
        if self._coverage is not None:
            self._coverage.packet(packet)
        if packet.stream.index != self._video.index:
            return
        try:
            pictures = packet.decode()
        except av.InvalidDataError:
            self._damage()
            return
        for picture in pictures:
            if picture.is_corrupt:
                self._damage()
                continue
            self._colour(picture)
            if self._coverage is not None and picture.time is not None:
                self._coverage.picture(picture.time, bool(picture.key_frame))
            yield picture

    def _colour(self, picture: VideoFrame) -> None:
        """Let a picture that does not say its colours have those that the container says."""
        for name, value in self._colours.items():
            if int(getattr(picture, name)) == _COLOURS[name]:
                setattr(picture, name, value)

    def _damage(self) -> None:
        self._damaged += 1
        if self._coverage is not None:
            self._coverage.damage()

    def _silence(self, damaged: int) -> str:
        """What came instead of whole pictures, of which `damaged` were not."""
        if not damaged:
            return f"gave no picture for {self._settings.read_timeout_s:g} s"
        by_udp = scheme_of(self._name) in ("rtsp", "rtsps") and self._settings.rtsp_transport == "udp"
        advice = ": packets are lost on the way, as none are with video.rtsp_transport = tcp" if by_udp else ""
        return f"gave only damaged pictures for {self._settings.read_timeout_s:g} s{advice}"

    def _lost(self, why: str) -> VideoError:
        return (StreamLostError if self._live else VideoError)(f"{self._name} {why}.")
