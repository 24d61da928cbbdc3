"""Streams that turn fake on a schedule: how they are rendered, found by their address, and measured by the monitor."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from dfd_core.errors import SettingsError
from dfd_core.queue.streams import StreamRegistry
from dfd_core.settings import Settings
from dfd_core.streams import StreamSpec, canary_of
from dfd_core.types import EndEvent, StreamState
from ingest.sources import open_source
from ingest.sources.synthetic import parse_scene
from ingest.wanted import of_arguments
from tests.fixtures_monitor import Desk, announce, feed, window
from workers.monitor.canaries import GRACE_S, Canary

SCHEDULE = "synthetic://canary?every=30&fake_for=10&live=1"


def test_an_address_says_when_it_is_fake() -> None:
    scene = parse_scene(SCHEDULE)
    assert math.isinf(scene.duration)
    fakes = [second for second in range(90) if scene.is_fake(second)]
    assert fakes == [*range(20, 30), *range(50, 60), *range(80, 90)]
    assert canary_of(SCHEDULE) == (30.0, 10.0)
    for other in ("synthetic://?fake_from=3", "synthetic://?every=9", "rtsp://cam/?every=30&fake_for=10", "", "a.mp4"):
        assert canary_of(other) is None


@pytest.mark.parametrize("query", ["every=10", "fake_for=3", "every=10&fake_for=10", "every=-5&fake_for=3"])
def test_a_wrong_schedule_is_one_sentence(query: str) -> None:
    with pytest.raises(SettingsError, match=r"fake_for of synthetic:// must be above 0 and below every\."):
        parse_scene(f"synthetic://?{query}")
    assert canary_of(f"synthetic://?{query}") is None


def test_it_is_fake_again_and_again_and_goes_on() -> None:
    """Against the same scene without a fake: faces differ where the schedule says so, two rounds long."""
    size = "size=320x180&fps=8"
    canary = open_source(f"synthetic://?every=1.5&fake_for=0.5&{size}", Settings().video)
    real = open_source(f"synthetic://?fake_from=99&duration=9&{size}", Settings().video)
    pairs = list(itertools.islice(zip(canary.frames(), real.frames(), strict=True), 32))
    face = np.s_[50:115, 125:195]
    change = [np.abs(a.image[face].astype(int) - b.image[face].astype(int)).mean() for a, b in pairs]
    fakes = [index for index, (a, _) in enumerate(pairs) if a.time_s % 1.5 >= 1.0 - 1e-6]
    assert min(change[index] for index in fakes) > 2 * max(c for i, c in enumerate(change) if i not in fakes)
    assert pairs[-1][0].time_s == pytest.approx(31 / 8, abs=1e-3)


def test_ingest_and_the_command_tell_its_schedule_and_of_others_none(redis_client: Redis) -> None:
    registry = StreamRegistry(redis_client)
    registry.announce(of_arguments([SCHEDULE, "clip.mp4"], Settings()).specs)
    registry.add(StreamSpec("second", url="synthetic://?every=60&fake_for=15"))
    schedules = {name: spec.canary for name, spec in registry.look().specs.items()}
    assert schedules == {"canary": (30.0, 10.0), "clip-mp4": None, "second": (60.0, 15.0)}


def test_alarms_in_time_are_found_others_are_missed(desk: Desk, redis_client: Redis) -> None:
    StreamRegistry(redis_client).announce([StreamSpec("canary", canary=(30.0, 10.0))])
    announce(redis_client, "canary", live=True)
    found = [0.1] * 19 + [0.9] * 9 + [0.1] * 2  # fake from 20 s on: the window that begins with 19 shows it first
    unseen = [0.1] * 41  # the second fake, from 50 s on, stays below; the third is still to come
    feed(redis_client, *(window("canary", seq, p) for seq, p in enumerate(found + unseen)))
    desk.turns(3)
    desk.monitor._look()
    assert desk.value("dfd_canary_detection_seconds_count", stream="canary") == 1
    seconds = desk.value("dfd_canary_detection_seconds_sum", stream="canary")
    assert seconds is not None
    assert 40 <= seconds <= 80  # windows of this test are captured all at once: now, less 72 s and 20 s
    assert desk.value("dfd_canary_missed_total", stream="canary") == 1
    feed(redis_client, EndEvent("canary", "r1", len(found + unseen) - 1, "stopped"))
    announce(redis_client, "canary", live=True, state=StreamState.ENDED, error="stopped")
    desk.monitor._look()
    assert desk.monitor._canaries._known == {}  # what was stopped misses nothing
    assert desk.value("dfd_canary_missed_total", stream="cam") is None


def heard_until(end_s: float, canary: Canary) -> Canary:
    for second in range(int(end_s) + 1):
        canary.hear(second, 1000.0 + second, second)
    return canary


def test_the_time_to_an_alarm_is_that_since_the_picture_turned() -> None:
    canary = heard_until(22, Canary(30.0, 10.0))
    assert canary.alarm(1023.4) == pytest.approx(3.4)
    assert canary.alarm(1024.0) is None  # a second alarm of the same fake
    assert heard_until(19, Canary(30.0, 10.0)).alarm(1019.5) is None  # the picture is real
    assert canary.missed(22.0) == 0


def test_what_is_no_more_heard_of_is_missed_and_what_was_half_seen_is_not() -> None:
    canary = heard_until(25, Canary(30.0, 10.0))  # then its workers die
    assert canary.missed(30 + GRACE_S) == 0
    assert canary.missed(31 + GRACE_S) == 1
    assert canary.missed(30 * 10 + 1 + GRACE_S) == 9
    late = Canary(30.0, 10.0)
    late.hear(25.0, 1025.0, 0.0)  # in the midst of a fake
    assert late.missed(5 + GRACE_S + 1) == 0
    assert late.missed(35 + GRACE_S + 1) == 1
    late.hear(0.0, 9000.0, 100.0)  # started again
    assert late.missed(130 + GRACE_S) == 0
    assert late.missed(131 + GRACE_S) == 1


@given(st.integers(2, 50), st.data())
def test_every_fake_is_found_or_missed_once(rounds: int, data: st.DataObject) -> None:
    """Of so many rounds of 30 s that are heard from the start, with alarms at any times."""
    alarms = sorted(data.draw(st.lists(st.integers(0, 30 * rounds), max_size=rounds, unique=True)))
    canary, found, missed = Canary(30.0, 10.0), [], 0
    for second in range(30 * rounds + round(GRACE_S) + 2):
        canary.hear(second, 1000.0 + second, second)
        missed += canary.missed(second)
        seconds = canary.alarm(1000.0 + second) if second in alarms else None
        found += [] if seconds is None else [seconds]
    assert len(found) + missed == rounds
    assert all(0 <= seconds <= 10 + GRACE_S for seconds in found)


@pytest.mark.slow
def test_a_canary_runs_through_everything(processes, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """The shipped detector finds it: ingest, Redis, worker and monitor."""
    pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    processes.start("monitor")
    processes.start("work")
    processes.wait_for(lambda: processes.has("dfd_model_info"))
    processes.start("ingest", "synthetic://canary?every=20&fake_for=9&live=1&size=640x360&fps=8")
    processes.wait_for(
        lambda: (
            processes.has("dfd_canary_detection_seconds_count")
            and processes.metric("dfd_canary_detection_seconds_count", stream="canary") >= 1
        )
    )
    assert processes.metric("dfd_canary_detection_seconds_sum", stream="canary") > 0
    assert processes.metric("dfd_alarms_total", stream="canary") >= 1
