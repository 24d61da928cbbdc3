"""Adaptive work, all that takes part in it: ingest, worker and monitor with a real server between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import cv2
import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from redis import Redis

from dfd_core.conditions import CalmNote
from dfd_core.faces.finder import FaceFinder
from dfd_core.faces.windows import SegmentBuilder
from dfd_core.queue import keys, records
from dfd_core.queue.broker import rq_queue
from dfd_core.queue.calm import read_calm, tell_calm
from dfd_core.queue.streams import StreamRegistry
from dfd_core.settings import Settings
from dfd_core.streams import StreamSpec
from dfd_core.types import (
    Frame,
    Outcome,
    Segment,
    WindowEvent,
    WindowResult,
)
from ingest.publisher import Publisher
from ingest.pump import Pump
from ingest.sources import open_source
from tests.fixtures_monitor import Desk, announce, feed, window
from tests.standins import MeanScorer
from workers.windows.jobs import score_jobs
from workers.windows.metrics import WorkerMetrics
from workers.windows.scoring import BatchScorer


def adapting(desk: Desk, **values: float) -> None:
    given = {"gap_s": 4.0, "calm_s": 5.0, **values}
    desk.settings = desk.settings.with_values({f"adaptive.{key}": value for key, value in given.items()})
    desk.restart()


def test_the_monitor_tells_calm_and_takes_it_back_at_the_first_doubt(desk: Desk, redis_client: Redis) -> None:
    adapting(desk)
    StreamRegistry(redis_client).announce([StreamSpec("canary", canary=(600.0, 10.0))])
    for stream in ("cam", "canary", "file"):
        announce(redis_client, stream, live=stream != "file")
        feed(redis_client, *(window(stream, seq, 0.1) for seq in range(6)))
    desk.turns()
    assert read_calm(redis_client, "cam", "r1") == CalmNote("r1", 5, 7.0)
    assert read_calm(redis_client, "cam", "r2") is None
    assert 0 < redis_client.pttl(keys.calm_key("cam")) <= 13_000
    assert not redis_client.exists(keys.calm_key("canary"), keys.calm_key("file"))
    feed(redis_client, window("cam", 6, 0.5))  # below 0.6, from which it counts as fake, and above three quarters of it
    desk.turns()
    assert read_calm(redis_client, "cam", "r1") is None
    feed(redis_client, *(window("cam", seq, 0.1) for seq in range(7, 13)))
    desk.turns()
    assert read_calm(redis_client, "cam", "r1") == CalmNote("r1", 12, 14.0)
    desk.restart()  # which knows nothing of what was said before
    desk.turns()
    feed(redis_client, window("cam", 13, 0.1))
    desk.turns()
    assert read_calm(redis_client, "cam", "r1") is None


def test_without_the_setting_nobody_is_calm(desk: Desk, redis_client: Redis) -> None:
    announce(redis_client, "cam", live=True)
    feed(redis_client, *(window("cam", seq, 0.0) for seq in range(200)))
    desk.turns()
    assert not redis_client.keys("dfd:calm:*")


def test_words_that_are_none_are_passed_over(redis_client: Redis) -> None:
    tell_calm(redis_client, {"cam": CalmNote("r1", 5, 7.0), "other": None}, 9.0)
    assert read_calm(redis_client, "cam", "r1") is not None
    for foreign in (b"", b"calm", b'{"v":3}', b'{"v":2,"run":"r1","seq":5,"end_s":7.0}'):
        redis_client.set(keys.calm_key("cam"), foreign)
        assert read_calm(redis_client, "cam", "r1") is None


class _Counting(FaceFinder):
    all_looks = 0

    def __init__(self, settings, threads=1):
        super().__init__(settings, threads)
        self.looks = 0

    def find(self, image, tiles=None):
        self.looks += 1
        _Counting.all_looks += 1
        return super().find(image, tiles)


class _Scripted(MeanScorer):
    """As if the face were fake from second 18 to 22 of the source."""

    def score(self, items):
        scored = super().score(items)
        return [(self._said(result), features) for result, features in scored]

    def _said(self, result: WindowResult) -> WindowResult:
        p = 0.85 if 18 <= result.end_s < 22 else 0.05
        return replace(result, scores=tuple(replace(score, fake_probability=p) for score in result.scores))


class _Camera:
    """A rendered scene as a camera gives it, but as fast as it is looked at; `between` is called each second of it."""

    live, dropped, reconnects, trouble, resting, clock_drift_s = True, 0, 0, None, False, 0.0
    name, description = "cam", "a test"

    def __init__(self, between: Callable[[float], None]) -> None:
        self._between = between

    def frames(self) -> Iterator[Frame]:
        scene = open_source("synthetic://?duration=26&fake_from=99&size=320x240&fps=8", Settings().video)
        for number, frame in enumerate(scene.frames()):
            if number % 8 == 0:
                self._between(frame.time_s)
            yield replace(frame, stream="cam", captured_at_s=time.time())


def test_a_calm_camera_is_scored_each_fourth_second_and_again_each_second_from_a_doubt_on(
    redis_url: str, redis_client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pump, publisher, worker and monitor, one after the other, with a real server between them."""
    desk = Desk(redis_url, tmp_path)
    adapting(desk, calm_s=6.0)
    scorer = BatchScorer(
        redis_client, _Scripted(desk.settings), desk.settings.queue, WorkerMetrics(CollectorRegistry())
    )
    queue, calm_at, publisher = rq_queue(redis_client, live=True), [], None

    looks = [0]
    monkeypatch.setattr("ingest.pump.FaceFinder", _Counting)

    def work(time_s: float) -> None:
        looks.append(_Counting.all_looks)
        jobs = [queue.fetch_job(job_id) for job_id in queue.job_ids]
        score_jobs(scorer, [job for job in jobs if job is not None])
        queue.empty()
        redis_client.hset(keys.STREAMS_KEY, "cam", records.pack_status(pump.status()))
        desk.monitor._look()
        desk.turns()
        if desk.value("dfd_stream_calm", stream="cam"):
            calm_at.append(round(time_s))

    publisher = Publisher(redis_client, "cam", True, desk.settings, Event())
    pump = Pump(_Camera(work), publisher, desk.settings, Event())
    pump.run()
    work(26.0)
    events = [records.parse_event(fields) for _, fields in redis_client.xrange(keys.RESULTS_KEY)]
    results = [event.result for event in events if isinstance(event, WindowEvent)]
    assert [result.seq for result in results] == list(range(26))
    scored = [result.seq for result in results if result.outcome is Outcome.SCORED]
    assert {result.outcome for result in results} == {Outcome.SCORED, Outcome.CALM}
    assert scored == [*range(7), 10, 14, *range(18, 26)]
    assert calm_at == list(range(8, 20))
    assert [result.end_s - result.start_s < 1 for result in results if result.seq in (6, 10, 18, 19)] == [0, 1, 1, 0]
    looked = np.diff(looks)[1:].tolist()  # by second
    assert [second for second, count in enumerate(looked) if count < 8] == [8, 9, 12, 13, 16, 17]
    assert [looked[second] for second in (8, 9, 12, 13, 16, 17)] == [2] * 6
    assert desk.states()[:3] == ["authentic", "suspect", "fake"]
    assert desk.value("dfd_windows_total", stream="cam", outcome="calm") == 26 - len(scored)
    assert desk.value("dfd_windows_total", stream="cam", outcome="missing") is None
    assert not publisher.dropped
    assert not redis_client.keys("dfd:pending:*")
    desk.close()


def test_a_segment_that_rests_is_looked_at_twice_until_it_shows_something_new() -> None:
    """One face on the left; in the third second another one comes on the right, where all was blurred; then a cut."""
    scene = open_source("synthetic://?duration=5&fake_from=99&size=320x240&fps=8", Settings().video)
    settings, frames = Settings(), list(scene.frames())
    finder = _Counting(settings.faces)
    builder = SegmentBuilder("cam", finder, settings.faces, settings.windows)
    done, looks = list[Segment](), list[int]()
    for number, frame in enumerate(frames):
        right = frame.image if number > 17 else cv2.GaussianBlur(frame.image, None, 25)
        image = np.hstack([frame.image, right])
        found = builder.push(replace(frame, image=np.ascontiguousarray(255 - image if number > 33 else image)))
        if found:
            looks.append(finder.looks)
            finder.looks = 0
            builder.rest(number != 23)
        done += found
    alone, rested, joined, both = done[:4]
    assert [track.present.sum() for track in alone.tracks] == [8]
    assert [np.flatnonzero(track.present).tolist() for track in rested.tracks] == [[0, 4]]
    assert [np.flatnonzero(track.present).tolist() for track in joined.tracks] == [[0, 4, 5, 6, 7], [4, 5, 6, 7]]
    assert [track.present.sum() for track in both.tracks] == [8, 8]
    assert {track.id for track in alone.tracks + rested.tracks} == {joined.tracks[0].id}
    assert looks[:4] == [8, 2, 5, 8]
    assert len(done[4].times_s) == 2
    assert finder.looks == 5  # at each frame after the cut's first: what follows a cut does not rest
    (after,) = builder.flush()
    assert not after.follows
