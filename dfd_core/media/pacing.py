"""Pictures that come a segment at a time, let go one by one at the pace of their stamps."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from av.video.frame import VideoFrame

_LEAP_S = 1.0  # a longer step between two stamps is waited for by nobody


class Pace:
    """When each picture is due: a step after the one before it, or at once where it comes later than that."""

    def __init__(self) -> None:
        self._pts_s: float | None = None
        self._due_s = -float("inf")

    def wait_s(self, pts_s: float | None, now_s: float) -> float:
        """Seconds until the next picture is due, by a clock that never goes back."""
        step_s = 0.0 if pts_s is None or self._pts_s is None else pts_s - self._pts_s
        self._pts_s = pts_s
        self._due_s = max(now_s, self._due_s + (step_s if 0 < step_s <= _LEAP_S else 0.0))
        return self._due_s - now_s


def paced(pictures: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    """The pictures, each when it is due. What comes meanwhile waits at the server, which keeps some segments."""
    pace = Pace()
    for picture in pictures:
        time.sleep(pace.wait_s(picture.time, time.monotonic()))
        yield picture
