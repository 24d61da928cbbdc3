"""What a source shows, in a word that a person can read: a pure state machine, whose clock is its caller's.

The worst is told: what ended it, then what keeps frames away, then what is wrong with the pictures that come.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

STALLED_S = 5.0  # connected, and no frame for so long
NO_FACE_S = 30.0  # frames, and no face for so long
SILENT_S = 10.0  # a source of which its ingest has said nothing for so long counts as offline


class Condition(StrEnum):
    """What a source shows."""

    CONNECTING = "connecting"  # no frame yet
    LIVE = "live"  # frames with faces; of files too
    STALLED = "stalled"  # it is connected, but frames stopped coming
    FROZEN = "frozen"  # the same picture again and again
    LOOPED = "looped"  # a stretch of picture repeats
    BLACK = "black"  # nothing can be seen
    NO_FACE = "no-face"  # pictures without a face for a while
    REFUSED = "refused"  # the server refuses the user name or the password
    OFFLINE = "offline"  # it cannot be reached, or nobody reads it
    FAILED = "failed"  # it ended as it should not have
    PAUSED = "paused"  # by `dfd streams pause`
    ENDED = "ended"  # as it should


OVER = frozenset({Condition.ENDED, Condition.FAILED, Condition.PAUSED})  # of which nothing more is said


@dataclass(frozen=True, slots=True)
class CalmNote:
    """The monitor says: a live stream was calm up to window `seq` of `run`, which ends at media time `end_s`."""

    run: str
    seq: int
    end_s: float


def as_seen(told: Condition, since_at_s: float, heard_at_s: float, now_s: float) -> tuple[Condition, float]:
    """The condition that ingest told, and since when, as it looks now; all Unix seconds."""
    if told in OVER or now_s - heard_at_s <= SILENT_S:
        return told, since_at_s
    return (told, since_at_s) if told is Condition.OFFLINE else (Condition.OFFLINE, heard_at_s)


class ConditionMachine:
    """The condition of one run of one source. Times are of one steady clock, but for `since_at_s`, Unix seconds."""

    def __init__(self) -> None:
        self._frame_s: float | None = None
        self._face_s = 0.0
        self._picture: Condition | None = None
        self._end: Condition | None = None
        self.condition = Condition.CONNECTING
        self.since_at_s = 0.0

    def frame(self, now_s: float, picture: Condition | None = None) -> None:
        """A frame came; `picture` is what is wrong with it and those before: frozen, looped or black."""
        if self._frame_s is None:
            self._face_s = now_s  # the first face has as long as every other
        self._frame_s, self._picture = now_s, picture

    def face(self, now_s: float) -> None:
        """A face was seen."""
        self._face_s = now_s

    def waits(self, now_s: float) -> None:
        """No frames are due now, so none are missed, and no faces."""
        self._face_s += max(0.0, now_s - self._frame_s) if self._frame_s is not None else now_s
        self._frame_s = now_s

    def ended(self, failed: bool) -> None:
        """Nothing follows."""
        self._end = Condition.FAILED if failed else Condition.ENDED

    def look(self, now_s: float, unix_s: float, trouble: bool = False, refused: bool = False) -> Condition:
        """The condition now; `trouble`: the source is away and tries again, `refused`: because it may not come in."""
        found = self._found(now_s, trouble, refused)
        if found is not self.condition or not self.since_at_s:
            self.condition, self.since_at_s = found, unix_s
        return found

    def _found(self, now_s: float, trouble: bool, refused: bool) -> Condition:
        if self._end is not None:
            return self._end
        if trouble or refused:
            return Condition.REFUSED if refused else Condition.OFFLINE
        if self._frame_s is None:
            return Condition.CONNECTING
        if now_s - self._frame_s > STALLED_S:
            return Condition.STALLED
        if self._picture is not None:
            return self._picture
        return Condition.NO_FACE if now_s - self._face_s > NO_FACE_S else Condition.LIVE
