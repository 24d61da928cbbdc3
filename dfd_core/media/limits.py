"""How large and how long a source may be; ordinary ones never meet these bounds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TypeVar

from dfd_core.errors import VideoError
from dfd_core.settings import VideoSettings

_Timed = TypeVar("_Timed")


def check_bytes(name: str, size: int, settings: VideoSettings) -> None:
    """VideoError for a file of more bytes than `video.max_bytes`."""
    if size > settings.max_bytes:
        raise VideoError(f"{name} has {size} bytes, more than video.max_bytes ({settings.max_bytes}) allows.")


def check_size(name: str, width: int, height: int, settings: VideoSettings) -> None:
    """VideoError for pictures that are wider or higher, px, than the settings allow."""
    if width > settings.max_width or height > settings.max_height:
        raise VideoError(
            f"{name} has pictures of {width} x {height} px, larger than video.max_width ({settings.max_width}) "
            f"and video.max_height ({settings.max_height}) allow."
        )


class FileLimits:
    """Counts what is decoded of one file, and how long that takes, without what is done with the pictures meanwhile."""

    def __init__(self, name: str, settings: VideoSettings) -> None:
        self.name, self._settings = name, settings
        self._frames, self._spent_s = 0, 0.0

    def timed(self, pictures: Iterator[_Timed]) -> Iterator[_Timed]:
        """The pictures; VideoError once there are too many, or they take too long."""
        while True:
            began = time.monotonic()
            picture = next(pictures, None)
            self._spent_s += time.monotonic() - began
            if picture is None:
                return
            self._frames += 1
            self._hold(self._frames <= self._settings.max_frames, f"video.max_frames ({self._settings.max_frames})")
            longest_s = self._settings.max_decode_s
            self._hold(self._spent_s <= longest_s, f"video.max_decode_s ({longest_s:g}) of work")
            yield picture

    def check_time(self, time_s: float) -> None:
        """VideoError for media time, seconds, beyond `video.max_seconds`."""
        self._hold(time_s <= self._settings.max_seconds, f"video.max_seconds ({self._settings.max_seconds:g})")

    def _hold(self, holds: bool, bound: str) -> None:
        if not holds:
            raise VideoError(f"{self.name} goes on beyond {bound}: it was given up there.")
