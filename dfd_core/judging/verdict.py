"""From ordered window results to the state of every face: a state machine with hysteresis, in media time only.

    unknown ──scorable──▶ authentic ──p ≥ enter──▶ suspect ──for min_duration──▶ fake
                              ▲  │                    │ p < enter                 ▲│ p < exit for cooldown
                              │  └────────────────────┼─p ≥ enter, jump above last┘│
                              └───────────────────────┴────────────────────────────┘

Time counts as the windows show it: `min_duration` and `cooldown` run from the end of the first window that asks for
the change, and only over what later scorable windows add. Nothing follows from what is absent: a window that is
missing, late or cannot be scored moves no clock. A face that windows look for and do not find for `cooldown` has left.
A cut begins new tracks, so no clock runs across one. Equal results give equal verdicts, in the monitor and in a scan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from dfd_core.judging.fusion import STALE
from dfd_core.names import format_time
from dfd_core.settings import VerdictSettings
from dfd_core.types import Outcome, State, Thresholds, Verdict, WindowResult, WindowScore

NO_TRACK = -1  # the track of a verdict on a stream in which no face is known
_STOPPED = -1.0  # a clock that has not started
_ROUNDING_S = 1e-6  # sums of media times are not exact
_KEPT_INTERVALS = 200  # of past ones, the weakest is forgotten: a camera runs for years
_RANK = {state: rank for rank, state in enumerate(State)}


@dataclass(frozen=True, slots=True)
class Interval:
    """Media seconds over which a face was thought fake; `fake_probability` is the mean over its scorable windows."""

    track: int
    start_s: float
    end_s: float
    fake_probability: float
    open: bool  # still fake at the last result

    @property
    def evidence(self) -> float:
        """How much speaks for it: its length in seconds times its probability."""
        return (self.end_s - self.start_s) * self.fake_probability

    @property
    def text(self) -> str:
        """`fake from 00:14` while it lasts, else `fake from 00:14 to 00:20`."""
        text = f"fake from {format_time(self.start_s)}"
        return text if self.open else f"{text} to {format_time(self.end_s)}"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a whole stream amounts to; `fake_probability` is the mean of the worst interval, else of the worst face."""

    state: State
    fake_probability: float | None
    worst: Interval | None
    text: str


@dataclass(slots=True)
class _Track:
    """One face: its verdict's fields, the two clocks, and the running sums of its current evidence."""

    id: int
    state: State
    since_s: float
    seen_s: float  # end of the last window that showed the face
    high_s: float  # end of the last window that was not below `exit`
    probability: float | None = None
    checks: dict[str, float | None] = field(default_factory=dict)
    clock_s: float = _STOPPED  # media seconds above `enter` while suspect, below `exit` while fake
    absent_s: float = 0.0  # media seconds of windows that looked, and did not show it any more
    evidence: list[float] = field(default_factory=lambda: [0.0, 0.0])  # sum and count since it became suspect
    life: list[float] = field(default_factory=lambda: [0.0, 0.0])  # sum and count of all its probabilities


class VerdictMachine:
    """The states of one stream's faces; feed results in order of `seq`."""

    def __init__(self, settings: VerdictSettings, thresholds: Thresholds) -> None:
        """Thresholds that the settings leave at zero are those of the model card."""
        self._enter = settings.enter or thresholds.enter
        self._exit = min(settings.exit or thresholds.exit, self._enter)
        self._settings = settings
        self._stream = ""
        self._time_s = 0.0
        self._tracks: dict[int, _Track] = {}
        self._closed: list[Interval] = []
        self._past_mean: float | None = None  # highest mean probability of a face that ended without an alarm

    @property
    def enter(self) -> float:
        """The probability from which a face counts as fake."""
        return self._enter

    def update(self, result: WindowResult) -> list[Verdict]:
        """Take the next result; return the verdict of each track whose state changed, ended ones as unknown."""
        self._stream = result.stream
        changed: list[Verdict] = []
        if result.end_s < self._time_s - _ROUNDING_S:  # the source began again: nothing carries over
            changed.extend(self._end(list(self._tracks.values())))
            self._time_s = result.start_s
        changed.extend(verdict for score in result.scores for verdict in self._see(score))
        news_s, self._time_s = self._news_s(result.start_s, result.end_s), result.end_s
        if _looked(result):
            changed.extend(self._end(self._gone({score.track for score in result.scores}, news_s)))
        return changed

    def verdicts(self) -> list[Verdict]:
        """The current verdict of every track, in order of track."""
        return [self._verdict(track) for _, track in sorted(self._tracks.items())]

    def stream_state(self) -> Verdict:
        """The verdict of the worst current track; unknown, with track `NO_TRACK`, when there is none."""
        nobody = Verdict(self._stream, NO_TRACK, State.UNKNOWN, self._time_s, self._time_s, None)
        return max(self.verdicts(), key=lambda v: (_RANK[v.state], v.fake_probability or 0.0), default=nobody)

    def intervals(self) -> list[Interval]:
        """Every interval in which a face was fake, past ones first."""
        lasting = [_interval(t, is_open=True) for t in self._tracks.values() if t.state is State.FAKE]
        return self._closed + lasting

    def summary(self) -> Summary:
        """The whole stream so far: fake if any face ever was; the worst interval is the one with most evidence."""
        worst = max(self.intervals(), key=lambda i: i.evidence, default=None)
        if worst is not None:
            return Summary(State.FAKE, worst.fake_probability, worst, worst.text)
        now = self.stream_state()
        means = [_mean(t.life) for t in self._tracks.values() if t.life[1]]
        mean = max(means + ([] if self._past_mean is None else [self._past_mean]), default=None)
        if mean is None:
            return Summary(State.UNKNOWN, None, None, "not scorable")
        if now.state is State.SUSPECT:
            return Summary(State.SUSPECT, mean, None, f"suspect from {format_time(now.since_s)}")
        return Summary(State.AUTHENTIC, mean, None, "authentic")

    def snapshot(self) -> dict[str, Any]:
        """All that the machine remembers, as plain JSON values for `restore`."""
        return {
            "stream": self._stream,
            "time_s": self._time_s,
            "tracks": [asdict(track) for track in self._tracks.values()],
            "closed": [asdict(interval) for interval in self._closed],
            "past_mean": self._past_mean,
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go on from a `snapshot`; raises KeyError, TypeError or ValueError for one of another version."""
        tracks = [_Track(**{**values, "state": State(values["state"])}) for values in snapshot["tracks"]]
        closed = [Interval(**values) for values in snapshot["closed"]]
        self._stream, self._time_s = str(snapshot["stream"]), float(snapshot["time_s"])
        self._tracks, self._closed = {track.id: track for track in tracks}, closed
        self._past_mean = snapshot["past_mean"]

    def _see(self, score: WindowScore) -> Iterator[Verdict]:
        track = self._tracks.setdefault(
            score.track, _Track(score.track, State.UNKNOWN, score.start_s, score.start_s, score.start_s)
        )
        before = track.state
        if score.fake_probability is not None:
            self._judge(track, score, score.fake_probability)
            track.probability, track.checks = score.fake_probability, dict(score.checks)
        track.seen_s, track.absent_s = score.end_s, 0.0
        if track.state is not before:
            yield replace(self._verdict(track), time_s=score.end_s)

    def _judge(self, track: _Track, score: WindowScore, probability: float) -> None:
        """Move one track by one scorable window."""
        news_s = self._news_s(score.start_s, score.end_s)
        _add(track.life, probability)
        if track.state is State.FAKE:
            self._clear(track, probability, news_s)
        else:
            self._raise(track, score, probability, news_s)
        if probability >= self._exit:
            track.high_s = score.end_s

    def _raise(self, track: _Track, score: WindowScore, probability: float, news_s: float) -> None:
        if probability < self._enter:
            if track.state is not State.AUTHENTIC:
                track.since_s = max(score.start_s, track.high_s)
            track.state = State.AUTHENTIC
            return
        if track.state is not State.SUSPECT:
            track.state, track.since_s = State.SUSPECT, score.start_s
            track.clock_s, track.evidence = 0.0, [0.0, 0.0]
        else:
            track.clock_s += news_s
        _add(track.evidence, probability)
        jumped = track.probability is not None and probability - track.probability >= self._settings.jump
        if jumped or track.clock_s >= self._settings.min_duration_s - _ROUNDING_S:
            track.state, track.clock_s = State.FAKE, _STOPPED

    def _clear(self, track: _Track, probability: float, news_s: float) -> None:
        if probability >= self._exit:
            track.clock_s = _STOPPED
            _add(track.evidence, probability)
            return
        track.clock_s = 0.0 if track.clock_s == _STOPPED else track.clock_s + news_s
        if track.clock_s >= self._settings.cooldown_s - _ROUNDING_S:
            self._close(track)
            track.state, track.since_s = State.AUTHENTIC, track.high_s

    def _news_s(self, start_s: float, end_s: float) -> float:
        """How much of that time earlier windows had not shown."""
        return max(0.0, end_s - max(start_s, self._time_s))

    def _gone(self, seen: Set[int], news_s: float) -> list[_Track]:
        """The faces that have left, once more time without them was looked at."""
        absent = [track for track in self._tracks.values() if track.id not in seen]
        for track in absent:
            track.absent_s += news_s
        return [track for track in absent if track.absent_s > self._settings.cooldown_s + _ROUNDING_S]

    def _end(self, tracks: Iterable[_Track]) -> Iterator[Verdict]:
        for track in tracks:
            del self._tracks[track.id]
            if track.state is State.FAKE:
                self._close(track)
            if track.life[1]:
                self._past_mean = max(self._past_mean or 0.0, _mean(track.life))
            if track.state is not State.UNKNOWN:
                track.state, track.since_s = State.UNKNOWN, track.seen_s
                yield self._verdict(track)

    def _close(self, track: _Track) -> None:
        self._closed.append(_interval(track, is_open=False))
        if len(self._closed) > _KEPT_INTERVALS:
            self._closed.remove(min(self._closed, key=lambda i: i.evidence))

    def _verdict(self, track: _Track) -> Verdict:
        return Verdict(
            self._stream, track.id, track.state, track.since_s, self._time_s, track.probability, dict(track.checks)
        )


def _looked(result: WindowResult) -> bool:
    """Whether somebody has looked who is there; of a window that came too late, and of others, nobody has."""
    late = result.reason is not None and result.reason.startswith(STALE)
    return result.outcome in (Outcome.SCORED, Outcome.NOT_SCORABLE) and (bool(result.scores) or not late)


def _interval(track: _Track, *, is_open: bool) -> Interval:
    return Interval(track.id, track.since_s, track.high_s, _mean(track.evidence), is_open)


def _add(sum_and_count: list[float], value: float) -> None:
    sum_and_count[0] += value
    sum_and_count[1] += 1


def _mean(sum_and_count: list[float]) -> float:
    return sum_and_count[0] / max(1.0, sum_and_count[1])
