"""Sources scored from end to end in one process, without Redis, and `Detector`, the door for Python programs.

The parts, and their order, are those of a deployment with Redis between them; so are the figures.
"""

from __future__ import annotations

import logging
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from dfd_core.errors import DataError, DfdError, ModelError, VideoError
from dfd_core.faces.finder import FaceFinder
from dfd_core.faces.windows import SegmentBuilder, WindowSlider
from dfd_core.judging.calibration import settings_by_stream
from dfd_core.judging.report import Report, ReportBuilder
from dfd_core.judging.scoring import Scorer, load_scorer
from dfd_core.judging.verdict import VerdictMachine
from dfd_core.media import found_live, read_frames, redact, stream_name
from dfd_core.media.ahead import ahead as read_ahead
from dfd_core.media.clock import Sampler
from dfd_core.media.live import LiveSource
from dfd_core.media.region import Region, within
from dfd_core.names import brief
from dfd_core.settings import Settings
from dfd_core.types import Frame, Segment, UInt8Array, Verdict, WindowResult

_log = logging.getLogger("dfd.detector")

_BATCH = 4  # windows a network call
_AHEAD = 2 * _BATCH  # windows that may wait to be scored, where reading goes on meanwhile


@dataclass(frozen=True, slots=True)
class Observation:
    """One window of a source that is watched, and the verdicts that changed with it: none as long as all stays."""

    result: WindowResult
    verdicts: tuple[Verdict, ...]


class Detector:
    """Scores files, streams and frames in this process. Close it, or use it in a `with`; not thread-safe.

    `settings` are `Settings`, or {"section.key": value} over the defaults: nothing is read from the environment.
    SettingsError for a wrong one, ModelError for a model that cannot be loaded.
    """

    def __init__(self, settings: Settings | Mapping[str, object] | None = None) -> None:
        if not isinstance(settings, Settings):
            settings = Settings().with_values(settings or {}, "the settings")
        self.settings = settings
        self._scorer: Scorer | None = load_scorer(settings)

    @property
    def model_name(self) -> str:
        """Name and version of the model."""
        return self._open().model_name

    def score(
        self,
        source: str | os.PathLike[str] | bytes,
        *,
        seconds: float = math.inf,
        on_time: Callable[[float], None] | None = None,
    ) -> Report:
        """What is found in a video or picture: a path, its bytes, or the http URL of a file.

        One that cannot be read, or has no face, is no error: the report says why. Only the first `seconds` of media
        time are looked at; `on_time` is called with the media time of each sampled frame, seconds. VideoError for a
        live stream, which has no end: `watch` it.
        """
        scorer, seconds = self._open(), _above_0("seconds", seconds)
        if isinstance(source, bytes):
            return self._score_bytes(source, seconds, on_time)
        if not isinstance(source, (str, os.PathLike)):
            raise DataError(f"A source is a path, a URL or bytes, not {type(source).__name__}; frames: score_frames.")
        url = os.fsdecode(source)
        if found_live(url, self.settings.video):
            raise VideoError(f"{redact(url)} is a live stream, which has no end: watch it.")
        return scan_file(url, self.settings, scorer, on_time, seconds=seconds)

    def score_frames(self, frames: UInt8Array, fps: float) -> Report:
        """What is found in decoded pictures, uint8 (T, H, W, 3) RGB, upright, `fps` a second.

        As of a video, `video.sample_fps` of them a second are looked at. DataError for any other array.
        """
        scorer = self._open()
        try:
            array = np.asarray(frames)
        except ValueError:
            raise DataError("Frames must be uint8 (T, H, W, 3) RGB, all of one size.") from None
        if array.dtype != np.uint8 or array.ndim != 4 or array.shape[3] != 3 or 0 in array.shape:
            raise DataError(f"Frames must be uint8 (T, H, W, 3) RGB, not {array.dtype} {array.shape}.")
        fps = _above_0("fps", fps)
        if fps == math.inf:
            raise DataError("fps must be a number of frames a second, not inf.")
        sampler, builder = Sampler(self.settings.video.sample_fps), ReportBuilder(self.settings, scorer, "frames")
        note_time = builder.see(None)

        def sampled() -> Iterator[Frame]:
            for index, image in enumerate(array):
                if sampler.takes(index / fps):
                    yield Frame("frames", index, index / fps, time.time(), np.ascontiguousarray(image))
                    note_time(index / fps)

        for result in _scored(_windows(sampled(), "frames", self.settings), scorer):
            builder.note(result)
        return builder.report("frames")

    def watch(self, url: str | os.PathLike[str]) -> Iterator[Observation]:
        """Each window of a file or of a live stream as soon as it is scored, and the verdicts that change with it.

        A file ends. A live stream goes on until the iterator is closed: it is opened again when it is lost, and what
        cannot be scored in time is left out. VideoError where a file cannot be read to its end, or a stream does not
        come up at all.
        """
        if not isinstance(url, (str, os.PathLike)):
            raise DataError(f"What is watched is a URL or a path, not {type(url).__name__}.")
        return self._watch(os.fsdecode(url), self._open())

    def close(self) -> None:
        """Give the model's threads back; what is asked afterwards is a ModelError."""
        if self._scorer is not None:
            self._scorer.close()
            self._scorer = None

    def __enter__(self) -> Detector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> Scorer:
        if self._scorer is None:
            raise ModelError("This detector is closed: make another.")
        return self._scorer

    def _score_bytes(self, content: bytes, seconds: float, on_time: Callable[[float], None] | None) -> Report:
        try:
            with tempfile.TemporaryDirectory(prefix="dfd-") as folder:
                path = Path(folder) / "content"
                path.write_bytes(content)
                return scan_file(str(path), self.settings, self._open(), on_time, seconds=seconds).named("bytes")
        except OSError as error:
            raise VideoError(f"The bytes cannot be stored for the decoder ({error.strerror}).") from None

    def _watch(self, url: str, scorer: Scorer) -> Iterator[Observation]:
        stream, settings = stream_name(url), self.settings
        machine = VerdictMachine(settings_by_stream(settings.verdict)(stream), scorer.thresholds)
        if found_live(url, settings.video):
            frames = LiveSource(url, stream, settings.video, patient=False).frames()
        else:
            frames = read_frames(url, stream, settings.video, live=False)
        with closing(frames):
            for result in _scored(_windows(frames, stream, settings), scorer, batch=1):
                yield Observation(result, tuple(machine.update(result)))
                self._open()  # it may have been closed meanwhile


def _above_0(name: str, value: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not number > 0:
        raise DataError(f"{name} must be a number above 0, not {brief(value)}.")
    return number


def scan_file(
    source: str | Path,
    settings: Settings,
    scorer: Scorer,
    on_time: Callable[[float], None] | None = None,
    *,
    seconds: float = math.inf,
    region: Region | None = None,
    ahead: bool = False,
) -> Report:
    """Score a video or an image; what cannot be read comes back with its reason, never as an exception.

    `on_time` is called with the media time of each sampled frame, seconds, for progress; of the video only
    the first `seconds` are looked at, of its frames only the `region`. `ahead`: it is read in a thread of its own,
    which calls `on_time`, while earlier windows are scored; the report is the same.
    """
    url = str(source)
    stream = stream_name(url)
    builder, trouble, notes = ReportBuilder(settings, scorer, stream), None, list[str]()
    try:
        for result in score_source(
            url,
            stream,
            settings,
            scorer,
            builder.see(on_time),
            seconds=seconds,
            region=region,
            live=False,
            note=notes.append,
            ahead=ahead,
        ):
            builder.note(result)
    except DfdError as error:
        trouble = error
    return builder.report(redact(url), trouble, notes)


def score_source(
    url: str,
    stream: str,
    settings: Settings,
    scorer: Scorer,
    on_time: Callable[[float], None],
    *,
    seconds: float = math.inf,
    region: Region | None = None,
    live: bool | None = None,
    note: Callable[[str], None] = _log.info,
    ahead: bool = False,
) -> Iterator[WindowResult]:
    """The result of each window of a source, in order, of all frames of its first `seconds`, in a `region` of each.

    `on_time` is called with the media time of each sampled frame, seconds; `note` is told what is left out; `ahead`: as
    in `scan_file`.
    VideoError for a source that cannot be read to its end, once what was read is scored.
    """
    windows = windows_of(url, stream, settings, on_time, seconds=seconds, region=region, live=live, note=note)
    return _scored(read_ahead(windows, _AHEAD) if ahead else windows, scorer)


def windows_of(
    url: str,
    stream: str,
    settings: Settings,
    on_time: Callable[[float], None],
    *,
    seconds: float = math.inf,
    region: Region | None = None,
    live: bool | None = None,
    note: Callable[[str], None] = _log.info,
) -> Iterator[tuple[Segment, ...]]:
    """Each window of a source, as its segments, in order; arguments and errors are those of `score_source`."""

    def frames() -> Iterator[Frame]:
        first_s = None
        for frame in read_frames(url, stream, settings.video, live=live, note=note):
            first_s = frame.time_s if first_s is None else first_s
            if frame.time_s - first_s >= seconds:
                break
            yield within(frame, region)
            on_time(frame.time_s)

    return _windows(frames(), stream, settings)


def _windows(frames: Iterable[Frame], stream: str, settings: Settings) -> Iterator[tuple[Segment, ...]]:
    """Each window of sampled frames; what came before a VideoError counts."""
    builder = SegmentBuilder(stream, FaceFinder(settings.faces), settings.faces, settings.windows)
    slider, trouble = WindowSlider(settings.windows), None
    try:
        for frame in frames:
            yield from (slider.push(segment).segments for segment in builder.push(frame))
    except VideoError as error:
        trouble = error
    yield from (slider.push(segment).segments for segment in builder.flush())
    if trouble is not None:
        raise trouble


def _scored(windows: Iterable[tuple[Segment, ...]], scorer: Scorer, batch: int = _BATCH) -> Iterator[WindowResult]:
    """The result of each window; what came before a VideoError counts."""
    waiting, trouble = list[tuple[Segment, ...]](), None
    try:
        for window in windows:
            waiting.append(window)
            if len(waiting) >= batch:
                yield from (result for result, _ in scorer.score(waiting))
                waiting.clear()
    except VideoError as error:
        trouble = error
    yield from (result for result, _ in scorer.score(waiting))
    if trouble is not None:
        raise trouble
