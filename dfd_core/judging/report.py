"""What was found in one file or one piece of footage: the record that every way of scoring gives back."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import msgspec

from dfd_core.errors import DfdError, PartialError, WireError
from dfd_core.judging.calibration import settings_by_stream
from dfd_core.judging.scoring import NO_FACE, Scorer
from dfd_core.judging.verdict import Summary, VerdictMachine
from dfd_core.names import json_line
from dfd_core.settings import Settings
from dfd_core.types import State, Verdict, WindowResult, WindowScore

_LASTING = 0.25  # of the windows of the longest-seen face: faces seen for less do not speak for the whole file


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in one file, and what found it.

    `fake_probability`: mean over the worst interval if a face was found fake, else of the worst face.
    `median_probability`: median over all windows of the worst face, whatever the thresholds, for evaluation.
    `checks`: means likewise, of that face. `worst`: media seconds of the worst interval.
    `timeline`: for each window its end in media seconds and the highest probability of a face in it.
    `faces`: tracks seen; `frames`: sampled frames looked at.
    `reason`: why there is no probability, or what went wrong after part of the file was scored.
    `partial`: less of the file was read than it says to hold: `read_s` of `of_s` media seconds (None: it does not say).
    `notes`: what was chosen or left out where a file holds more than one thing: streams, pages, pictures.
    `model`: name and version; `thresholds`: the probabilities at which its alarms begin and end.
    `seconds`: how long it took; `scored_at_s`: when it was done, Unix time.
    """

    file: str
    state: State
    verdict: str
    fake_probability: float | None = None
    median_probability: float | None = None
    worst: tuple[float, float] | None = None
    faces: int = 0
    frames: int = 0
    windows: int = 0
    duration_s: float = 0.0
    checks: dict[str, float | None] = field(default_factory=dict)
    reason: str | None = None
    partial: bool = False
    read_s: float | None = None
    of_s: float | None = None
    notes: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    timeline: tuple[tuple[float, float], ...] = ()
    model: str = ""
    seconds: float = 0.0
    scored_at_s: float = 0.0
    thresholds: tuple[float, float] = (0.5, 0.4)

    @property
    def scored(self) -> bool:
        """Whether anything of the file could be scored."""
        return self.fake_probability is not None

    @property
    def in_part(self) -> bool:
        """Whether only a part of the file was read, of which something was scored."""
        return self.scored and (self.partial or self.reason is not None)

    @property
    def why(self) -> str:
        """The reason without the file's own name, so that equal ones can be counted; empty where there is none."""
        return (self.reason or "").replace(self.file, "the file").removesuffix(".")

    def named(self, name: str) -> Report:
        """The report of the file that people call `name`: where it lay when it was scored says nothing to them."""
        return replace(self, file=name, reason=self.reason and self.reason.replace(self.file, name))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON has them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: object) -> Report:
        """The report whose `to_dict` gave `data`; WireError for anything else."""
        try:
            return msgspec.convert(data, cls)
        except msgspec.ValidationError as error:
            raise WireError(f"This is no report of this version of dfd ({error}).") from None

    def to_json(self) -> str:
        """One line of JSON, without line end."""
        return json_line(self.to_dict())

    @classmethod
    def from_json(cls, text: str | bytes) -> Report:
        """The report whose `to_json` gave `text`; WireError for anything else."""
        try:
            data = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise WireError(f"This is no report, and no JSON ({error}).") from None
        return cls.from_dict(data)


class ReportBuilder:
    """What has been found so far in one file or one piece of footage."""

    def __init__(self, settings: Settings, scorer: Scorer, stream: str) -> None:
        self._machine = VerdictMachine(settings_by_stream(settings.verdict)(stream), scorer.thresholds)
        self._began_at, self._scorer = time.monotonic(), scorer
        self._scores: dict[int, list[WindowScore]] = {}
        self._verdicts: list[Verdict] = []
        self._reasons: list[str] = []
        self._times: list[float] = []
        self._timeline: list[tuple[float, float]] = []
        self._windows = 0

    def see(self, on_time: Callable[[float], None] | None) -> Callable[[float], None]:
        """What notes the time of each frame, and tells `on_time`."""

        def seen(time_s: float) -> None:
            self._times.append(time_s)
            if on_time is not None:
                on_time(time_s)

        return seen

    def note(self, result: WindowResult) -> None:
        """Take the result of the next window."""
        self._windows += 1
        self._verdicts += self._machine.update(result)
        if result.reason is not None:
            self._reasons.append(result.reason)
        highest = max((p for s in result.scores if (p := s.fake_probability) is not None), default=None)
        if highest is not None:
            self._timeline.append((round(result.end_s, 3), round(highest, 4)))
        for score in result.scores:
            self._scores.setdefault(score.track, []).append(score)

    def report(self, file: str, trouble: DfdError | None = None, notes: Sequence[str] = ()) -> Report:
        """The report, whatever `trouble` ended it."""
        reason = None if trouble is None else str(trouble)
        part = trouble if isinstance(trouble, PartialError) else None
        summary = self._machine.summary()
        worst = self._worst_face()
        if reason is None and summary.fake_probability is None:
            reason = self._why_not()
        return Report(
            file=file,
            state=summary.state,
            verdict=summary.text,
            fake_probability=summary.fake_probability,
            median_probability=_median([s.fake_probability for s in worst]),
            worst=_span(summary),
            faces=len(self._scores),
            frames=len(self._times),
            windows=self._windows,
            duration_s=self._times[-1] - self._times[0] if self._times else 0.0,
            checks={name: _mean([s.checks[name] for s in worst]) for name in (worst[0].checks if worst else ())},
            reason=reason,
            partial=part is not None,
            read_s=None if part is None else part.read_s,
            of_s=None if part is None else part.of_s,
            verdicts=tuple(self._verdicts),
            timeline=tuple(self._timeline),
            notes=tuple(notes),
            model=self._scorer.model_name,
            seconds=round(time.monotonic() - self._began_at, 3),
            scored_at_s=time.time(),
            thresholds=(self._scorer.thresholds.enter, self._scorer.thresholds.exit),
        )

    def _worst_face(self) -> list[WindowScore]:
        """The scorable windows of the face with the highest median, of those that were seen for long enough."""
        faces = [[s for s in scores if s.fake_probability is not None] for scores in self._scores.values()]
        longest = max(map(len, faces), default=0)
        lasting = [face for face in faces if face and len(face) >= _LASTING * longest]
        return max(lasting, key=lambda face: _median([s.fake_probability for s in face]) or 0.0, default=[])

    def _why_not(self) -> str:
        """The reason that says most: of a face before "no face"."""
        of_faces = [reason for reason in self._reasons if reason != NO_FACE]
        return max(of_faces, key=of_faces.count, default=NO_FACE)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _span(summary: Summary) -> tuple[float, float] | None:
    return None if summary.worst is None else (summary.worst.start_s, summary.worst.end_s)
