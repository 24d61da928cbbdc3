"""How old a live window may be to be scored: less where overload lasts, so that what is scored then is new."""

from __future__ import annotations

LASTING_S = 10.0  # a burst, or a worker that starts, is over by then


class Patience:
    """`stale_s`; `late_s` once windows were older than that for `LASTING_S`, until none is older than half of it.

    Windows are taken in the order in which they came. Where more come than can be scored, all that are scored would be
    `stale_s` old; dropping those above `late_s` costs no more verdicts, since as many must be dropped anyway.
    """

    def __init__(self, stale_s: float, late_s: float) -> None:
        self._stale_s, self._late_s = stale_s, min(late_s, stale_s)
        self._late_since_s: float | None = None

    def limit_s(self, oldest_s: float, now_s: float) -> float:
        """For a batch whose oldest live window is `oldest_s` old at Unix time `now_s`; the clock may be set back."""
        if oldest_s <= self._late_s / 2:
            self._late_since_s = None
        elif oldest_s > self._late_s and (self._late_since_s is None or now_s < self._late_since_s):
            self._late_since_s = now_s
        lasting = self._late_since_s is not None and now_s - self._late_since_s >= LASTING_S
        return self._late_s if lasting else self._stale_s
