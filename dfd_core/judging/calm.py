"""Which windows of a calm live stream go unscored: the whole rule, without I/O, in media time.

Two sides know half of it each. The monitor knows what windows said: a stream is calm once all its faces have stayed
far below the threshold for `calm_s`; it tells so with each window that is still calm (`Calm`). Ingest knows what
comes: it leaves windows out while the stream is told to be calm and shows nothing new (`Pace`), and never for longer
than `gap_s`. All else means every window: a doubt, a face or a cut that is new, one that cannot be judged, a word that
is older than twice `gap_s` because monitor, workers or Redis are away.

Where a segment is sure to be left out before it begins, as all that was to be scored is known to be calm, faces are
looked for in some of its frames only (`Pace.rests`); one that is new there ends that.

So an alarm comes at most `gap_s` later than it would, where a window's verdict is known before the next window is
complete; where verdicts take longer, by as much more.
"""

from __future__ import annotations

import math

from dfd_core.conditions import CalmNote
from dfd_core.sections import AdaptiveSettings
from dfd_core.types import Segment, WindowResult

_OLD = 2  # times `gap_s`: what was said so long ago holds no more


class Calm:
    """Whether one run of a live stream is calm; feed it results in order. `enter`: from which a face counts as fake."""

    def __init__(self, settings: AdaptiveSettings, enter: float) -> None:
        self._settings, self._doubt = settings, settings.doubt * enter
        self._since_s = math.nan  # end of the first window of those that were all calm; NaN: the last one was not
        self._seq, self._end_s = -1, -math.inf  # of the last window that said something
        self._tracks: set[int] = set()  # the faces that are known

    def see(self, result: WindowResult) -> None:
        """Take the next result; without a score it says nothing: nobody looked, or nobody was there."""
        if not result.scores:
            return
        tracks = {score.track for score in result.scores}
        if any(score.fake_probability is None or score.fake_probability >= self._doubt for score in result.scores):
            self._since_s = math.nan
        elif math.isnan(self._since_s) or not tracks <= self._tracks or not self._goes_on(result.end_s):
            self._since_s, self._tracks = result.end_s, tracks
        self._seq, self._end_s = result.seq, result.end_s

    def note(self, run: str) -> CalmNote | None:
        """What ingest is to know of this `run`; None unless it is calm."""
        calm = self._end_s - self._since_s >= self._settings.calm_s
        return CalmNote(run, self._seq, self._end_s) if calm else None

    def _goes_on(self, end_s: float) -> bool:
        return 0 <= end_s - self._end_s <= _OLD * self._settings.gap_s


class Pace:
    """Which segments of one run of a live stream are left out; ask of each, in order."""

    def __init__(self, gap_s: float) -> None:
        """`gap_s`: the most media seconds from the end of one scored window to the next one's."""
        self._gap_s = gap_s
        self._end_s = self._scored_s = -math.inf  # of the segment before, and of the last that was not left out
        self._scored = 0  # its seq
        self._tracks: set[int] = set()  # of the segment before
        self._news = 0  # seq of the newest segment that showed something new
        self.calm = False  # at the last segment
        self.rests = False  # the next segment is sure to be left out too, unless it shows something new

    def leaves_out(self, segment: Segment, note: CalmNote | None) -> bool:
        """Whether nobody needs to score `segment`; `note` is what the monitor says just now of this run."""
        end_s, tracks = float(segment.times_s[-1]), {track.id for track in segment.tracks}
        if not segment.follows or not tracks <= self._tracks:
            self._news = segment.seq
        next_s = end_s + (end_s - self._end_s)  # when the next one ends, if that takes as long
        self._end_s, self._tracks = end_s, tracks
        calm_to = -1 if note is None or end_s - note.end_s > _OLD * self._gap_s else note.seq
        self.calm = calm_to >= self._news and bool(tracks)
        left_out = self.calm and next_s - self._scored_s <= self._gap_s
        if not left_out:
            self._scored_s, self._scored = end_s, segment.seq
        after_s = next_s + (next_s - end_s)
        self.rests = left_out and calm_to >= self._scored and after_s - self._scored_s <= self._gap_s
        return left_out
