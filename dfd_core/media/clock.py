"""Media time: from the stamps of pictures to seconds that always rise, and which pictures are looked at."""

from __future__ import annotations

import math

_DELAY_STEPS = 3.5  # a first picture that is late by less is on time
_ROUNDING_S = 0.002  # containers that keep milliseconds round a PTS by up to half of one; clocks jitter a little more
_AS_SLOW = 0.95  # of the time between two that are looked at: so far apart are pictures that are all looked at
_DISORDER_S = 1.0  # by more than this no picture is early or late; see Clock


class Clock:
    """Media seconds from PTS: from 0 on, or as far from `start_s` as the first picture is, and always rising.

    A jump back of over a second is a stream that loops or restarts, and its clock goes on from there; a smaller one is
    a container without true PTS (AVI with B-frames), where pictures in order are a step apart.
    """

    def __init__(self, step_s: float, start_s: float | None = None) -> None:
        self._step_s = step_s
        self._start_s = start_s
        self._offset_s: float | None = None
        self._last_s = -step_s

    def media_s(self, pts_s: float | None) -> float:
        """The media time of the next picture; without a PTS it is one step after the last."""
        following_s = self._last_s + self._step_s
        if pts_s is None:
            self._last_s = following_s
        elif (
            self._offset_s is None and self._start_s is not None and pts_s - self._start_s > _DELAY_STEPS * self._step_s
        ):
            self._offset_s = -self._start_s
            self._last_s = pts_s - self._start_s
        elif self._offset_s is None or pts_s + self._offset_s < self._last_s - _DISORDER_S:
            self._offset_s = following_s - pts_s
            self._last_s = following_s
        else:
            ahead = pts_s + self._offset_s > self._last_s
            self._last_s = pts_s + self._offset_s if ahead else following_s
        return self._last_s


class Sampler:
    """Takes the first picture at or after each multiple of 1 / fps, and all of a stream that is no faster than that."""

    def __init__(self, fps: float) -> None:
        self._period_s = 1 / fps
        self._due_s = 0.0

    def takes(self, time_s: float, step_s: float = 0.0) -> bool:
        """Whether the picture at `time_s` is looked at; `step_s` is usual between two of a live stream, seconds."""
        if time_s + _ROUNDING_S < self._due_s and step_s < _AS_SLOW * self._period_s:
            return False
        self._due_s = (math.floor((time_s + _ROUNDING_S) / self._period_s) + 1) * self._period_s
        return True
