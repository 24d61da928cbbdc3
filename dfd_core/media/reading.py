"""Reads sampled frames: pictures as a player shows them, at its times."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from typing import Protocol

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame

from dfd_core.errors import StreamLostError, VideoError
from dfd_core.media.clock import Clock, Sampler
from dfd_core.media.compression import quantisers_of
from dfd_core.media.display import Display, Orientation, orientation_of, oriented
from dfd_core.media.film import Film
from dfd_core.media.limits import FileLimits, check_size
from dfd_core.media.live_clock import LiveClock
from dfd_core.media.opening import comes_in_segments, is_endless, opened
from dfd_core.media.pacing import paced
from dfd_core.media.stills import Still, is_still
from dfd_core.media.strays import without_strays
from dfd_core.media.urls import is_live, local_path, redact
from dfd_core.settings import VideoSettings
from dfd_core.types import Float32Array, Frame

_log = logging.getLogger("dfd.video")


class Reader(Protocol):
    """One way to get pictures out of an open file."""

    start_s: float | None  # of the clock that the pictures' times are on; None: it starts with the first
    orientation: Orientation | None  # of every picture; None: each says by itself

    @property
    def pixel(self) -> Fraction | None:
        """Width over height of a pixel; None where unknown."""
        ...

    def pictures(self) -> Iterator[VideoFrame]:
        """Every whole picture, in order of presentation."""
        ...

    def check(self) -> None:
        """Raise PartialError where less was read than there is, once all pictures have been taken."""
        ...


def read_frames(
    url: str,
    stream: str,
    settings: VideoSettings,
    live: bool | None = None,
    *,
    note: Callable[[str], None] = _log.info,
    clock: LiveClock | None = None,
) -> Generator[Frame, None, None]:
    """Frames of `url` at `settings.sample_fps` by PTS, in order, at a player's times; one frame of a still.

    Only frames that are yielded are converted. A file ends the iterator, by a PartialError where less was read than it
    says to hold. A live source starts at media time 0 and never ends: it raises StreamLostError when it ends, refuses
    or gives no picture for `read_timeout_s`; opened again, it goes on with the `clock` that it had. What is `live` is
    found out where it is not said. Other trouble is a VideoError. `note` is told what of a file is left out.
    """
    with opened(url, settings, is_live(url) if live is None else live) as (container, video):
        live = is_endless(container, video, url) if live is None else live
        reader: Reader
        if not live and is_still(container):
            reader = Still(container, video, redact(url), local_path(url), note)
        else:
            reader = Film(container, video, redact(url), settings, live=live, note=note)
        display, sampler = Display(settings.max_pixels), Sampler(settings.sample_fps)
        step_s = float(1 / (video.average_rate or video.guessed_rate or 25))
        limits, clock = FileLimits(redact(url), settings), clock or LiveClock(step_s)
        timed = _by_arrival(reader, container, clock) if live else _by_stamps(reader, step_s, limits)
        index = -1
        for index, (picture, time_s, usual_s) in enumerate(timed):
            captured_at_s = time.time()
            if sampler.takes(time_s, usual_s):
                check_size(limits.name, picture.width, picture.height, settings)
                turned = reader.orientation or orientation_of(picture)
                image = display.image(picture, reader.pixel, turned)
                yield Frame(stream, index, time_s, captured_at_s, image, _quantisers(picture, turned))
    if live:
        raise StreamLostError(f"{redact(url)} ended its stream.")
    if index < 0:
        raise VideoError(f"{redact(url)} has no picture that can be decoded; is the file whole?")
    reader.check()


_Timed = Iterator[tuple[VideoFrame, float, float]]  # a picture, its media time, and the usual step if it matters


def _by_stamps(reader: Reader, step_s: float, limits: FileLimits) -> _Timed:
    clock = Clock(step_s, reader.start_s)
    for picture, pts_s in limits.timed(without_strays(reader.pictures(), step_s)):
        time_s = clock.media_s(pts_s)
        limits.check_time(time_s)
        yield picture, time_s, 0.0


def _by_arrival(reader: Reader, container: InputContainer, clock: LiveClock) -> _Timed:
    pictures = reader.pictures()
    for picture in paced(pictures) if comes_in_segments(container) else pictures:
        time_s = clock.media_s(picture.time, time.monotonic())
        yield picture, time_s, clock.step_s


def _quantisers(picture: VideoFrame, turned: Orientation) -> Float32Array | None:
    stored = quantisers_of(picture)
    return None if stored is None else np.ascontiguousarray(oriented(stored, turned))
