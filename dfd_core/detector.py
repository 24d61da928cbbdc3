"""A file from end to end in one process: the same parts, in the same order, as with Redis between them."""

from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dfd_core.errors import DfdError, PartialError, VideoError
from dfd_core.faces.finder import FaceFinder
from dfd_core.faces.windows import SegmentBuilder, WindowSlider
from dfd_core.judging.calibration import settings_by_stream
from dfd_core.judging.scoring import NO_FACE, Scorer
from dfd_core.judging.verdict import Summary, VerdictMachine
from dfd_core.media import read_frames, stream_name
from dfd_core.settings import Settings
from dfd_core.types import Segment, State, Verdict, WindowResult, WindowScore

_log = logging.getLogger("dfd.offline")

_LASTING = 0.25  # of the windows of the longest-seen face: faces seen for less do not speak for the whole file
_BATCH = 4  # windows a network call


@dataclass(frozen=True, slots=True)
class FileReport:
    """What a scan found in one file.

    `fake_probability`: mean over the worst interval if a face was found fake, else of the worst face.
    `median_probability`: median over all windows of the worst face, whatever the thresholds, for evaluation.
    `checks`: means likewise, of that face. `worst`: media seconds of the worst interval.
    `timeline`: for each window its end in media seconds and the highest probability of a face in it.
    `faces`: tracks seen; `frames`: sampled frames looked at.
    `reason`: why there is no probability, or what went wrong after part of the file was scored.
    `partial`: less of the file was read than it says to hold: `read_s` of `of_s` media seconds (None: it does not say).
    `notes`: what was chosen or left out where a file holds more than one thing: streams, pages, pictures.
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

    def as_json(self) -> dict[str, Any]:
        """Plain values for one line of JSON."""
        return asdict(self)


def scan_file(
    path: Path,
    settings: Settings,
    scorer: Scorer,
    on_time: Callable[[float], None] | None = None,
    seconds: float = math.inf,
) -> FileReport:
    """Score a video or an image; what cannot be read comes back with its reason, never as an exception.

    `on_time` is called with the media time of each sampled frame, seconds, for progress; of the video only
    the first `seconds` are looked at.
    """
    stream = stream_name(str(path))
    scan, trouble, notes = _Scan(settings, scorer, stream), None, list[str]()
    try:
        for result in score_source(
            str(path), stream, settings, scorer, scan.see(on_time), seconds=seconds, live=False, note=notes.append
        ):
            scan.note(result)
    except DfdError as error:
        trouble = error
    return replace(scan.report(str(path), trouble), notes=tuple(notes))


def score_source(
    url: str,
    stream: str,
    settings: Settings,
    scorer: Scorer,
    on_time: Callable[[float], None],
    *,
    seconds: float = math.inf,
    live: bool | None = None,
    note: Callable[[str], None] = _log.info,
) -> Iterator[WindowResult]:
    """The result of each window of a source, in order, of all frames of its first `seconds`.

    `on_time` is called with the media time of each sampled frame, seconds; `note` is told what is left out.
    VideoError for a source that cannot be read to its end, once what was read is scored.
    """
    waiting, trouble = list[tuple[Segment, ...]](), None
    try:
        for window in windows_of(url, stream, settings, on_time, seconds=seconds, live=live, note=note):
            waiting.append(window)
            if len(waiting) >= _BATCH:
                yield from (result for result, _ in scorer.score(waiting))
                waiting.clear()
    except VideoError as error:
        trouble = error
    yield from (result for result, _ in scorer.score(waiting))
    if trouble is not None:
        raise trouble


def windows_of(
    url: str,
    stream: str,
    settings: Settings,
    on_time: Callable[[float], None],
    *,
    seconds: float = math.inf,
    live: bool | None = None,
    note: Callable[[str], None] = _log.info,
) -> Iterator[tuple[Segment, ...]]:
    """Each window of a source, as its segments, in order; arguments and errors are those of `score_source`."""
    builder = SegmentBuilder(stream, FaceFinder(settings.faces), settings.faces, settings.windows)
    slider, trouble, first_s = WindowSlider(settings.windows), None, None
    try:
        for frame in read_frames(url, stream, settings.video, live=live, note=note):
            first_s = frame.time_s if first_s is None else first_s
            if frame.time_s - first_s >= seconds:
                break
            yield from (slider.push(segment).segments for segment in builder.push(frame))
            on_time(frame.time_s)
    except VideoError as error:
        trouble = error
    yield from (slider.push(segment).segments for segment in builder.flush())
    if trouble is not None:
        raise trouble


class _Scan:
    """What one scan has found so far."""

    def __init__(self, settings: Settings, scorer: Scorer, stream: str) -> None:
        self._machine = VerdictMachine(settings_by_stream(settings.verdict)(stream), scorer.thresholds)
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
        self._windows += 1
        self._verdicts += self._machine.update(result)
        if result.reason is not None:
            self._reasons.append(result.reason)
        highest = max((p for s in result.scores if (p := s.fake_probability) is not None), default=None)
        if highest is not None:
            self._timeline.append((round(result.end_s, 3), round(highest, 4)))
        for score in result.scores:
            self._scores.setdefault(score.track, []).append(score)

    def report(self, file: str, trouble: DfdError | None) -> FileReport:
        reason = None if trouble is None else str(trouble)
        part = trouble if isinstance(trouble, PartialError) else None
        summary = self._machine.summary()
        worst = self._worst_face()
        if reason is None and summary.fake_probability is None:
            reason = self._why_not()
        return FileReport(
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
