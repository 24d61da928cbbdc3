"""Live media time, whatever stamps a stream has: it keeps the arrival's pace, and one fake is one alarm."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfd_core.faces.finder import FaceFinder
from dfd_core.faces.windows import SegmentBuilder, WindowSlider
from dfd_core.judging.verdict import VerdictMachine
from dfd_core.media.clock import Sampler
from dfd_core.media.live_clock import HELD_S, LiveClock
from dfd_core.settings import FaceSettings, VerdictSettings, WindowSettings
from dfd_core.types import Frame, Outcome, State, Thresholds, WindowResult, WindowScore

FPS = 8.0
MAX_GAP_S = WindowSettings().max_gap_s
Stamps = list[float | None]
Fault = Callable[[Stamps, random.Random], Stamps]


@dataclass
class Camera:
    """`taken`: when its pictures were taken; `stamps`: what they say; `arrived`: when they came. Seconds."""

    taken: list[float]
    stamps: Stamps
    arrived: list[float]

    def watched(self) -> tuple[list[float], list[int]]:
        """Media time of each picture, and which are looked at."""
        clock, sampler = LiveClock(1 / 25), Sampler(FPS)
        times, looked = list[float](), list[int]()
        for n, (pts, at) in enumerate(zip(self.stamps, self.arrived, strict=True)):
            times.append(clock.media_s(pts, at))
            if sampler.takes(times[-1], clock.step_s):
                looked.append(n)
        return times, looked


def lone(every: int, by_s: float) -> Fault:
    return lambda stamps, rng: [t if t is None or (n + 1) % every else t + by_s for n, t in enumerate(stamps)]


def runs(length: int, every: int, by_s: float) -> Fault:
    return lambda stamps, rng: [
        t if t is None or n % every < every - length else t + by_s for n, t in enumerate(stamps)
    ]


def step(by_s: float) -> Fault:
    def jump(stamps: Stamps, rng: random.Random) -> Stamps:
        at = rng.randrange(len(stamps))
        return [t if t is None or n < at else t + by_s for n, t in enumerate(stamps)]

    return jump


def bunched(period_s: float) -> Fault:
    """All stamps of a period are close to its beginning."""
    return lambda stamps, rng: [None if t is None else t // period_s * period_s + t % period_s * 0.02 for t in stamps]


def repeated(times: int) -> Fault:
    return lambda stamps, rng: [stamps[n - n % times] for n in range(len(stamps))]


def none(share: float) -> Fault:
    return lambda stamps, rng: [None if rng.random() < share else t for t in stamps]


def wrapped(at_s: float) -> Fault:
    return lambda stamps, rng: [None if t is None else (t + at_s - 11.0) % at_s for t in stamps]


def paced(factor: float) -> Fault:
    return lambda stamps, rng: [None if t is None else t * factor for t in stamps]


def random_stamps() -> Fault:
    return lambda stamps, rng: [rng.uniform(-1e6, 1e6) for _ in stamps]


FAULTS: dict[str, Fault] = {
    "none": lambda stamps, rng: stamps,
    "a lone stamp in fifty, hours ahead": lone(50, 7200.0),
    "a lone stamp in twenty-five, hours back": lone(25, -4000.0),
    "every third stamp, seconds ahead": lone(3, 2.5),
    "two of twenty, hours ahead": runs(2, 20, 5000.0),
    "a lasting leap ahead": step(3600.0),
    "a lasting leap back": step(-900.0),
    "bunched, a leap every 2 s": bunched(2.0),
    "bunched, a leap every .4 s": bunched(0.4),
    "bunched, a leap every .9 s": bunched(0.9),
    "each three times": repeated(3),
    "all the same": lambda stamps, rng: [5.0] * len(stamps),
    "no stamps": none(1.0),
    "some without": none(0.3),
    "a wrap of 2^33": wrapped(2**33 / 90000),
    "a wrap of 2^32": wrapped(2**32 / 90000),
    "a wrap of milliseconds": wrapped(2**31 / 1000),
    "a clock at a quarter of the pace": paced(0.25),
    "a clock at ten times the pace": paced(10.0),
    "a clock a tenth too fast": paced(1.1),
    "a clock a third too slow": paced(0.67),
    "backwards": paced(-1.0),
    "of no sense": random_stamps(),
    "not numbers": lambda stamps, rng: [float("nan") if rng.random() < 0.5 else float("inf") for _ in stamps],
}


def camera(faults: list[str], fps: float = 25.0, seconds: float = 40.0, seed: int = 0, stall_s: float = 0.0) -> Camera:
    """Its pictures come evenly but for jitter; every ten seconds the network stands for `stall_s`, then all come."""
    rng = random.Random(seed)
    taken = [n / fps for n in range(round(seconds * fps))]
    stamps: Stamps = list(taken)
    for fault in faults:
        stamps = FAULTS[fault](stamps, rng)
    arrived, latest = list[float](), 0.0
    for at in taken:
        late = at + rng.uniform(0, 0.4 / fps)
        if at % 10 > 10 - stall_s:
            late = at // 10 * 10 + 10
        latest = max(latest, late)
        arrived.append(1000.0 + latest)
    return Camera(taken, stamps, arrived)


def check(seen: Camera, fps: float) -> None:
    """What holds for all stamps."""
    times, looked = seen.watched()
    since, media = np.array(seen.arrived) - seen.arrived[0], np.array(times)
    assert np.all(np.diff(media) > 0)
    assert np.abs(media - since).max() <= HELD_S + 0.001
    for before, after in pairwise(looked):
        if media[after] - media[before] > MAX_GAP_S:
            assert since[after] - since[before] > MAX_GAP_S - 1 / FPS, "a window is cut where nothing was missing"
    rate = min(FPS, fps)
    for start in np.arange(0.0, since[-1] - 5, 1.0):
        within = [(since[which] >= start) & (since[which] < start + 5) for which in (slice(None), looked)]
        came, taken = (int(each.sum()) for each in within)
        waits = np.diff([start, *since[within[0]], start + 5])
        stood_s = waits[waits > HELD_S].sum()
        assert taken >= min(came, rate * (5 - stood_s)) - 2 * HELD_S * rate - 2, (start, taken, came)
    assert len(looked) <= FPS / 0.95 * (since[-1] + 2 * HELD_S) + 2


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("fps", [5.0, 12.5, 60.0])
def test_any_stamps_keep_the_pace_of_what_arrives(fault: str, fps: float) -> None:
    seen = camera([fault], fps)
    check(seen, fps)
    assert len(seen.watched()[1]) >= 0.98 * min(FPS, fps) * 40


@given(
    faults=st.lists(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=3),
    fps=st.floats(0.4, 70.0),
    stall_s=st.sampled_from([0.0, 0.3, 0.9, 1.5, 4.0, 8.0]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=100)
def test_faults_together_keep_it_too(faults: list[str], fps: float, stall_s: float, seed: int) -> None:
    check(camera(faults, fps, 25.0, seed, stall_s), fps)


@given(
    st.lists(
        st.tuples(st.none() | st.floats() | st.floats(-100, 100), st.floats(0, 0.9) | st.floats(0, 0.05)), min_size=1
    )
)
@settings(max_examples=200)
def test_no_stream_of_stamps_and_arrivals_breaks_it(pictures: list[tuple[float | None, float]]) -> None:
    arrived = [float(at) for at in np.cumsum([wait for _, wait in pictures])]
    clock = LiveClock(0.04)
    media = np.array([clock.media_s(pts, at) for (pts, _), at in zip(pictures, arrived, strict=True)])
    assert np.all(np.diff(media) > 0)
    assert np.abs(media - (np.array(arrived) - arrived[0])).max() <= HELD_S + 0.001
    assert max(np.diff(media), default=0.0) <= 0.9 + 1e-5
    assert np.isfinite(clock.drift_s)


@pytest.mark.parametrize("stall_s", [0.0, 0.4])
def test_good_stamps_are_kept_exactly(stall_s: float) -> None:
    seen = camera(["none"], stall_s=stall_s)
    assert seen.watched()[0] == pytest.approx(seen.taken, abs=1e-6)


def test_a_stamp_hours_away_is_put_between_its_neighbours() -> None:
    seen = camera(["a lone stamp in fifty, hours ahead"])
    assert seen.watched()[0] == pytest.approx(seen.taken, abs=0.02)


def test_after_a_leap_and_a_loss_time_goes_on() -> None:
    clock = LiveClock(0.04)
    stamps = [n * 0.04 + (5000 if n >= 50 else 0) for n in range(100)]
    media = [clock.media_s(pts, n * 0.04) for n, pts in enumerate(stamps)]
    assert media == pytest.approx(np.arange(100) * 0.04)
    clock.rejoin()
    assert clock.media_s(17.0, 60.0) == pytest.approx(60.0, abs=HELD_S)
    assert clock.media_s(17.04, 60.04) == pytest.approx(60.04, abs=HELD_S)


@pytest.mark.parametrize(("fault", "drift_s"), [("none", 0), ("a clock at ten times the pace", 9 * 40)])
def test_drift_is_told(fault: str, drift_s: float) -> None:
    seen, clock = camera([fault]), LiveClock(1 / 25)
    for pts, at in zip(seen.stamps, seen.arrived, strict=True):
        clock.media_s(pts, at)
    assert clock.drift_s == pytest.approx(drift_s, abs=2.0)


def test_a_lone_stamp_is_no_drift() -> None:
    clock = LiveClock(0.04)
    drifts = []
    for n in range(200):
        clock.media_s(n * 0.04 + 9000 * (n % 40 == 39), n * 0.04)
        drifts.append(clock.drift_s)
    assert np.abs(drifts).max() < 0.1


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder(FaceSettings())


ALARMING = (
    "a lone stamp in fifty, hours ahead",
    "a lone stamp in twenty-five, hours back",
    "a lasting leap ahead",
    "bunched, a leap every 2 s",
    "a clock at a quarter of the pace",
    "no stamps",
)


@pytest.mark.parametrize("fault", ALARMING)
def test_one_fake_is_one_alarm_with_the_right_beginning(fault: str, finder: FaceFinder) -> None:
    """From stamps to the verdict; a window is fake where three quarters of its pictures are."""
    seen, fake_from = camera([fault], seconds=18.0, seed=3), 8.0
    times, looked = seen.watched()
    grey = np.full((32, 32, 3), 90, np.uint8)
    builder = SegmentBuilder("cam", finder, FaceSettings(), WindowSettings())
    slider, machine = WindowSlider(WindowSettings()), VerdictMachine(VerdictSettings(), Thresholds(0.6, 0.4))
    told, is_fake = [], {times[n]: seen.taken[n] >= fake_from for n in looked}
    for n in looked:
        for segment in builder.push(Frame("cam", n, times[n], 0.0, grey)):
            window = slider.push(segment)
            share = np.mean([is_fake[t] for part in window.segments for t in part.times_s.tolist()])
            about = window.start_s, window.end_s
            score = WindowScore("cam", window.seq, 0, *about, 0.95 if share >= 0.75 else 0.05, {}, None, "m", 0.0, 0.0)
            told += machine.update(WindowResult("cam", window.seq, Outcome.SCORED, *about, 0.0, (score,)))
    alarms = [verdict for verdict in told if verdict.state is State.FAKE]
    began_s = next(at for at, taken in zip(seen.arrived, seen.taken, strict=True) if taken >= fake_from)
    assert len(alarms) == 1
    assert alarms[0].since_s == pytest.approx(began_s - seen.arrived[0], abs=1.0)
    assert machine.stream_state().state is State.FAKE
