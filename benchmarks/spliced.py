"""Schedules of fakes in a calm stream, spliced of rendered and measured scenes, and what the alarm makes of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from dfd_core.faces.finder import FaceFinder
from dfd_core.faces.windows import SegmentBuilder
from dfd_core.judging.calm import Calm, Pace
from dfd_core.judging.scoring import Scorer
from dfd_core.judging.verdict import VerdictMachine
from dfd_core.settings import Settings
from dfd_core.types import FaceTrack, Outcome, Segment, SegmentFeatures, State, WindowResult
from ingest.sources import open_source

GRACE_S = 10.0  # after a fake, for its alarm to come, as for canaries
Piece = tuple[int, int]  # number of a rendered segment, and a bit for each of its frames that is fake
Fake = tuple[float, float]  # media seconds, from and to
Judge = Callable[[tuple[Piece, ...]], WindowResult]


def faces_of(camera: int, seconds: int, fake: bool, settings: Settings, scorer: Scorer) -> list[SegmentFeatures]:
    """What is measured in each second of a scene, of its one face."""
    query = f"duration={seconds}&fake_from={0 if fake else seconds}&size=640x360&fps=8&seed={camera}"
    source = open_source(f"synthetic://?{query}", settings.video, "cam")
    builder = SegmentBuilder("cam", FaceFinder(settings.faces), settings.faces, settings.windows)
    segments = [segment for frame in source.frames() for segment in builder.push(frame)]
    found = []
    for n in range(0, len(segments), 8):
        found += [features for _, features in scorer.score([[segment] for segment in segments[n : n + 8]])]
    if any(len(features.tracks) != 1 for features in found) or len(found) != seconds:
        raise SystemExit(f"Camera {camera} does not show one face all the time: take another seed.")
    return found


def judge_of(real: Sequence[SegmentFeatures], fake: Sequence[SegmentFeatures], scorer: Scorer) -> Judge:
    """What the scorer says of windows that are spliced of the two; each is judged once, at media time 0."""

    def splice(piece: Piece, start_s: float) -> SegmentFeatures:
        (of_real,), (of_fake,) = real[piece[0]].tracks.values(), fake[piece[0]].tracks.values()
        bits = np.array([piece[1] >> n & 1 for n in range(len(of_real))], bool)
        rows = np.where(bits[:, None], of_fake, of_real)
        return replace(real[piece[0]], tracks={0: rows}, times_s=start_s + np.arange(len(rows)) / 8)

    @cache
    def judge(pieces: tuple[Piece, ...]) -> WindowResult:
        window = [splice(piece, float(n + 1 - len(pieces))) for n, piece in enumerate(pieces)]
        return scorer.score([window])[0][0]

    return judge


def schedule(count: int, length_s: float, apart_s: float, rng: np.random.Generator) -> list[Fake]:
    """So many fakes of one length, each after calm of `apart_s` and up to ten seconds more."""
    found, end_s = list[Fake](), 0.0
    for _ in range(count):
        start_s = end_s + apart_s + round(rng.uniform(0, 10) * 8) / 8
        end_s = start_s + length_s
        found.append((start_s, end_s))
    return found


def pieces_of(fakes: Sequence[Fake], seconds: int, rendered: int) -> list[Piece]:
    """A schedule by seconds."""
    frames = np.zeros((seconds, 8), np.int64)
    for start_s, end_s in fakes:
        frames.reshape(-1)[round(start_s * 8) : round(end_s * 8)] = 1
    masks = (frames << np.arange(8)).sum(axis=1)
    return [(second % rendered, int(mask)) for second, mask in enumerate(masks)]


@dataclass(frozen=True, slots=True)
class Run:
    """What became of a schedule: media times at which alarms began, and how many windows were scored."""

    alarms: list[float]
    scored: int


def go_through(pieces: Sequence[Piece], judge: Judge, settings: Settings, scorer: Scorer) -> Run:
    """One schedule, second by second, as ingest and the monitor do it."""
    machine = VerdictMachine(settings.verdict, scorer.thresholds)
    calm, pace = Calm(settings.adaptive, machine.enter), Pace(settings.adaptive.gap_s)
    face = FaceTrack(0, *(np.zeros((8, *shape), kind) for shape, kind in _SHAPES), 4)
    alarms, scored, before, was_fake = list[float](), 0, (), False
    for seq, piece in enumerate(pieces):
        segment = Segment("cam", seq, seq + np.arange(8) / 8, 0.0, (face,), seq > 0)
        if settings.adaptive.gap_s and pace.leaves_out(segment, calm.note("r")):
            end_s = float(segment.times_s[-1])
            machine.update(WindowResult("cam", seq, Outcome.CALM, float(seq), end_s, 0.0))
            before = ()
        else:
            result = _moved(judge((*before, piece)), seq)
            machine.update(result)
            calm.see(result)
            before, scored = (piece,), scored + 1
        is_fake = machine.stream_state().state is State.FAKE
        if is_fake and not was_fake:
            alarms.append(seq + 1.0)
        was_fake = is_fake
    return Run(alarms, scored)


_SHAPES = (((4,), np.float32), ((6, 2), np.float32), ((4, 4, 3), np.uint8))  # of a face's boxes, landmarks and crops


def _moved(result: WindowResult, seq: int) -> WindowResult:
    """A result of media time 0, of the second `seq`."""
    span = {"start_s": result.start_s + seq, "end_s": result.end_s + seq, "seq": seq}
    scores = tuple(
        replace(score, seq=seq, start_s=score.start_s + seq, end_s=score.end_s + seq) for score in result.scores
    )
    return replace(result, scores=scores, **span)


def delays(fakes: Sequence[Fake], alarms: Sequence[float]) -> tuple[list[float], int]:
    """Seconds to the first alarm of each fake (inf: none came), and how many alarms belong to no fake."""
    first = [next((a - s for a in alarms if s <= a <= e + GRACE_S), math.inf) for s, e in fakes]
    false = sum(not any(s <= a <= e + GRACE_S for s, e in fakes) for a in alarms)
    return first, false
