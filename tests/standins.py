"""Small windows, and scorers with the interface of dfd_core.judging.scoring.Scorer that need no model."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from dfd_core.errors import ModelError
from dfd_core.settings import Settings
from dfd_core.types import (
    FaceTrack,
    Outcome,
    Segment,
    SegmentFeatures,
    Thresholds,
    Window,
    WindowResult,
    WindowScore,
)

POISON = 250  # pixel value of a segment that PoisonedScorer does not survive
N = 4


def segment(seq, *, stream="cam", value=None, side=16, faces=1, follows=True):
    value = seq % 200 if value is None else value
    boxes = np.tile(np.array([0, 0, 60, 60], np.float32), (N, 1))
    crops = np.full((N, side, side, 3), value, np.uint8)
    tracks = tuple(FaceTrack(i, boxes, np.zeros((N, 6, 2), np.float32), crops, side) for i in range(faces))
    return Segment(stream, seq, seq * 1.0 + np.arange(N) / N, time.time(), tracks, follows and seq > 0)


def windows(count, **options):
    """Windows of two segments, as WindowSlider makes them."""
    segments = [segment(seq, **options) for seq in range(count)]
    return [Window(tuple(segments[max(0, i - 1) : i + 1])) for i in range(count)]


class MeanScorer:
    """Fake probability: the mean of the pixels over 255, over all segments of the window."""

    model_name = "mean"
    runtime_name = "standin"
    thresholds = Thresholds(0.6, 0.4)

    def __init__(self, settings: Settings, delay_s: float = 0.0):
        self._delay_s = delay_s
        self.batches = []

    def score(self, items):
        self.batches.append([item[-1].seq for item in items])
        time.sleep(self._delay_s)
        return [self._score([self._measure(piece) for piece in item]) for item in items]

    def _measure(self, piece):
        if isinstance(piece, SegmentFeatures):
            return piece
        tracks = {t.id: t.crops.mean(axis=(1, 2), dtype=np.float32)[:, :1] / 255 for t in piece.tracks}
        return SegmentFeatures(piece.stream, piece.seq, piece.times_s, tracks, piece.follows, piece.captured_at_s)

    def _score(self, pieces):
        newest = pieces[-1]
        start, end = float(pieces[0].times_s[0]), float(newest.times_s[-1])
        scores = tuple(
            WindowScore(
                newest.stream,
                newest.seq,
                track,
                start,
                end,
                float(np.mean([p.tracks[track].mean() for p in pieces if track in p.tracks])),
                {},
                None,
                self.model_name,
                newest.captured_at_s,
                time.time(),
            )
            for track in newest.tracks
        )
        result = WindowResult(newest.stream, newest.seq, Outcome.SCORED, start, end, newest.captured_at_s, scores)
        return result, newest


class SlowScorer(MeanScorer):
    def __init__(self, settings):
        super().__init__(settings, delay_s=0.5)


class HangingScorer(MeanScorer):
    """Sleeps for good on a poisoned segment, like native code that never comes back."""

    def score(self, items):
        if any(_poisoned(piece) for item in items for piece in item):
            time.sleep(3600)
        return super().score(items)


class DyingScorer(MeanScorer):
    """A poisoned segment ends its process, as a fault of native code does."""

    def score(self, items):
        if any(_poisoned(piece) for item in items for piece in item):
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().score(items)


class RaisingScorer(MeanScorer):
    def score(self, items):
        if any(_poisoned(piece) for item in items for piece in item):
            raise RuntimeError("a poisoned crop\nand more")
        return super().score(items)


def _poisoned(piece):
    return isinstance(piece, Segment) and any(t.crops.max() == POISON for t in piece.tracks)


def hanging_once(settings):
    """A scorer factory that hangs in the first process that calls it; `model.path` is a folder to remember that in."""
    try:
        Path(settings.model.path, "hung").touch(exist_ok=False)
    except FileExistsError:
        return MeanScorer(settings)
    time.sleep(3600)


def no_model(settings):
    """A scorer factory that cannot make one."""
    raise ModelError("There is no model here: train one.")
