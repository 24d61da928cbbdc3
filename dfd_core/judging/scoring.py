"""The one object that scores windows: in the workers, in `dfd scan` and in `dfd evaluate`, so that they are equal."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from dfd_core.checks import Check, Measure
from dfd_core.checks.appearance import Appearance
from dfd_core.checks.noise import Noise
from dfd_core.checks.quality import QualityMeasure
from dfd_core.checks.temporal import Temporal
from dfd_core.checks.texture import Texture
from dfd_core.judging.fusion import LEADING, Fusion, Gates, Quality
from dfd_core.models.runtime import LoadedModel, load_model
from dfd_core.settings import Settings
from dfd_core.types import Float32Array, Outcome, Segment, SegmentFeatures, Thresholds, WindowResult, WindowScore

ScoringItem = Sequence[Segment | SegmentFeatures]  # a window, oldest first; features where pixels are gone
NO_FACE = "no face"
CHECKS = (Appearance.name, Noise.name, Temporal.name, Texture.name)
_QUALITY = -1  # a column of quality: known in every frame in which the face was seen
_REMEMBERED = 16  # segments, so that a scan measures what its windows share only once
_Key = tuple[str, int, float, bytes]


@dataclass(frozen=True, slots=True, eq=False)
class _Memory:
    """A measured segment, held so that its identity stays its own."""

    segment: Segment
    features: SegmentFeatures


class Scorer:
    """Scores batches of windows with one model; not thread-safe.

    It computes the checks that the model's card gives a weight, or, to fit such weights, every one.
    """

    def __init__(self, model: LoadedModel, gates: Gates | None = None, *, every_check: bool = False) -> None:
        self._model = model
        self._gates = gates or Gates()
        self._fusion = Fusion.from_card(model.card.fusion)
        weights = self._fusion.weights
        self._checks = tuple(c for c in _checks_of(model) if every_check or weights[c.name] or c.name == LEADING)
        self._measures: tuple[Measure, ...] = (*self._checks, QualityMeasure())
        self._threads = ThreadPoolExecutor(len(self._measures), "measure")  # OpenCV and the network release the GIL
        self._memory: OrderedDict[int, _Memory] = OrderedDict()
        self.columns = tuple(f"{m.name}.{c}" for m in self._measures for c in m.columns)

    def close(self) -> None:
        """End its threads."""
        self._threads.shutdown()

    @property
    def model_name(self) -> str:
        """Name and version of the model."""
        return self._model.name

    @property
    def checks(self) -> tuple[str, ...]:
        """Names of the checks that it computes."""
        return tuple(check.name for check in self._checks)

    @property
    def runtime_name(self) -> str:
        """What runs the network: litert or keras."""
        return self._model.runtime.name

    @property
    def thresholds(self) -> Thresholds:
        """What the model card recommends."""
        return self._model.card.thresholds

    def score(self, items: Sequence[ScoringItem]) -> list[tuple[WindowResult, SegmentFeatures]]:
        """For each window its result, and the features of its newest segment for the caller to keep.

        All crops that were not measured before go through the network together.
        """
        features = self._measure([s for item in items for s in item if isinstance(s, Segment)])
        scored = []
        for item in items:
            window = [features[id(s)] if isinstance(s, Segment) else s for s in item]
            scored.append((self._judge(window), window[-1]))
        return scored

    def _measure(self, segments: Sequence[Segment]) -> dict[int, SegmentFeatures]:
        """Features by id() of the segment; equal segments of one batch are measured once."""
        known = {i: memory.features for i, memory in self._memory.items()}
        new: dict[_Key, Segment] = {_key(s): s for s in segments if id(s) not in known}
        measured = dict(zip(new, self._features(list(new.values())), strict=True))
        for segment in segments:
            if id(segment) not in known:
                known[id(segment)] = measured[_key(segment)]
                self._memory[id(segment)] = _Memory(segment, known[id(segment)])
        while len(self._memory) > _REMEMBERED:
            self._memory.popitem(last=False)
        return known

    def _features(self, segments: Sequence[Segment]) -> list[SegmentFeatures]:
        tracks = [track for segment in segments for track in segment.tracks]
        parts = list(self._threads.map(lambda measure: measure.features(tracks), self._measures))
        rows = iter([np.concatenate(columns, axis=1) for columns in zip(*parts, strict=True)])
        return [
            SegmentFeatures(
                s.stream, s.seq, s.times_s, {t.id: next(rows) for t in s.tracks}, s.follows, s.captured_at_s
            )
            for s in segments
        ]

    def _judge(self, window: Sequence[SegmentFeatures]) -> WindowResult:
        newest, now_s = window[-1], time.time()
        tracks = [track for track, rows in newest.tracks.items() if np.isfinite(rows[:, _QUALITY]).any()]
        scores = tuple(self._score_track(track, window, now_s) for track in tracks)
        reason: str | None = NO_FACE
        if scores:
            reason = next((None for s in scores if s.fake_probability is not None), scores[0].reason)
        return WindowResult(
            stream=newest.stream,
            seq=newest.seq,
            outcome=Outcome.SCORED if reason is None else Outcome.NOT_SCORABLE,
            start_s=float(window[0].times_s[0]),
            end_s=float(newest.times_s[-1]),
            captured_at_s=newest.captured_at_s,
            scores=scores,
            reason=reason,
        )

    def _score_track(self, track: int, window: Sequence[SegmentFeatures], now_s: float) -> WindowScore:
        newest = window[-1]
        width = len(self.columns)
        usable = [s for s in window if track in s.tracks and s.tracks[track].shape[1] == width]
        rows = np.concatenate([s.tracks[track] for s in usable])
        times = np.concatenate([s.times_s for s in usable])
        quality, of_check = self._columns_of(rows)
        seen = np.isfinite(quality[:, _QUALITY])
        scores = {check.name: check.score(of_check[check.name][seen]) for check in self._checks}
        picture = quality_of(quality[seen])
        reason = self._gates.reason(picture)
        probability = None if reason else self._fusion.probability(scores, picture)
        if probability is None and reason is None:
            reason = "the network gave no number"
        return WindowScore(
            stream=newest.stream,
            seq=newest.seq,
            track=track,
            start_s=float(times[seen][0]),
            end_s=float(newest.times_s[-1]),
            fake_probability=probability,
            checks=scores,
            reason=reason,
            model=self.model_name,
            captured_at_s=newest.captured_at_s,
            scored_at_s=now_s,
        )

    def _columns_of(self, rows: Float32Array) -> tuple[Float32Array, dict[str, Float32Array]]:
        """The columns of quality, and those of each check."""
        ends = np.cumsum([len(m.columns) for m in self._measures])
        *parts, quality, _ = np.split(rows, ends, axis=1)
        return quality, {check.name: part for check, part in zip(self._checks, parts, strict=True)}


def quality_of(columns: Float32Array) -> Quality:
    """Medians of the measured columns of quality, float32 (T, 5), where T is 1 or more."""
    known = np.isfinite(columns[:, 0])
    quantiser = float(np.median(columns[known, 0])) if known.any() else math.nan
    return Quality(quantiser, *map(float, np.median(columns[:, 1:], axis=0)))


def load_scorer(settings: Settings, *, every_check: bool = False) -> Scorer:
    """A scorer with the model and the runtime that the settings name; ModelError where that cannot be."""
    return Scorer(load_model(settings.model, settings.worker.threads), every_check=every_check)


def _checks_of(model: LoadedModel) -> tuple[Check, ...]:
    texture = () if model.texture is None else (Texture(model.texture, model.card.input.size, model.card.views),)
    return (Appearance(model), Noise(), Temporal(), *texture)


def _key(segment: Segment) -> _Key:
    return segment.stream, segment.seq, segment.captured_at_s, segment.times_s.tobytes()
