"""Media time of live streams, made of the stamps of pictures and of when they arrive; neither is trusted alone."""

from __future__ import annotations

import math
from collections import deque
from statistics import median

HELD_S = 0.5  # media time is never further than this from the time since the first picture arrived
_MEMORY_S = 5.0  # over which the usual step between pictures is measured
_PAUSE_S = 1.0  # a longer wait for a picture counts as one of this length there
_STILL_S = 0.5  # a picture without a stamp that comes after a longer wait is as late as it comes
_LEAST, _MOST = 0.7, 2.0  # of a believable step, of the usual one or of the wait for this picture
_TINY_S = 1e-6  # by which media time rises at least


class LiveClock:
    """Media seconds from 0 on, always rising, and within `HELD_S` of the clock by which the pictures arrive.

    A stamp is believed where its step from the picture before is about the usual one, or about the time that passed:
    the first makes bursts of the network even, the second keeps pauses. A picture with another stamp, or with none, is
    put one usual step after the last, and the next stamp decides: if it goes on from where they were, the odd one was
    alone; if it goes on from that, the stream's clock has jumped, and is joined there. Where no step is believable,
    or a clock has another pace than ours, the arrival counts.
    """

    def __init__(self, step_s: float) -> None:
        """`step_s` is what the stream says to be between two pictures; it counts until some have come."""
        self._declared_s = step_s
        self._began_s = self._arrived_s = self._media_s = -math.inf
        self._pts_s: float | None = None  # of the last picture
        self._offset_s: float | None = None  # from the stamps to media time
        self._count = self._span_s = 0.0  # pictures, and the time that they took, old ones fading
        self._leads: deque[float] = deque(maxlen=3)  # of the stamps, over media time: a lone one is not their median
        self._first_lead_s: float | None = None

    @property
    def step_s(self) -> float:
        """The usual time between two pictures, by their arrival over the last seconds."""
        return self._span_s / self._count if self._count else self._declared_s

    @property
    def drift_s(self) -> float:
        """How far the stamps have gone ahead of media time since the connection began; below 0: fallen behind."""
        return 0.0 if self._first_lead_s is None else median(self._leads) - self._first_lead_s

    def rejoin(self) -> None:
        """The stream was lost and opened again: its stamps may begin anew."""
        self._pts_s = self._offset_s = self._first_lead_s = None
        self._leads.clear()

    def media_s(self, pts_s: float | None, arrived_s: float) -> float:
        """Media time of the next picture; `arrived_s` is of a clock that never goes back, seconds."""
        if pts_s is not None and not math.isfinite(pts_s):
            pts_s = None
        if self._began_s == -math.inf:
            self._began_s, self._media_s = arrived_s, 0.0
            follows = True
        else:
            waited_s = max(0.0, arrived_s - self._arrived_s)
            self._measure(waited_s)
            step_s, follows = self._step(pts_s, waited_s)
            since_s = arrived_s - self._began_s
            held_s = min(max(self._media_s + step_s, since_s - HELD_S), since_s + HELD_S)
            self._media_s = max(held_s, self._media_s + _TINY_S)
        self._arrived_s, self._pts_s = arrived_s, pts_s
        if pts_s is not None:
            if follows or self._offset_s is None:
                self._offset_s = self._media_s - pts_s
            self._note_lead(pts_s - self._media_s)
        return self._media_s

    def _step(self, pts_s: float | None, waited_s: float) -> tuple[float, bool]:
        """Seconds from the last picture to this one, and whether its stamp is one to go on from."""
        if pts_s is not None and self._offset_s is not None:
            if self._believable(step_s := pts_s + self._offset_s - self._media_s, waited_s):
                return step_s, True
            if self._pts_s is not None and self._believable(step_s := pts_s - self._pts_s, waited_s):
                return step_s, True
        return (self.step_s if waited_s <= _STILL_S else waited_s), False

    def _believable(self, step_s: float, waited_s: float) -> bool:
        usual_s = self.step_s
        least_s, most_s = _LEAST * min(usual_s, waited_s), max(_MOST * usual_s, _MOST * waited_s)
        return max(least_s, _TINY_S) <= step_s <= min(most_s, max(waited_s, _STILL_S))

    def _measure(self, waited_s: float) -> None:
        span_s = min(waited_s, _PAUSE_S)
        kept = math.exp(-span_s / _MEMORY_S)
        self._count, self._span_s = self._count * kept + 1, self._span_s * kept + span_s

    def _note_lead(self, lead_s: float) -> None:
        self._leads.append(lead_s)
        if self._first_lead_s is None and len(self._leads) == self._leads.maxlen:
            self._first_lead_s = median(self._leads)
