"""Results that a real Valkey holds become verdicts, lines, entries and metrics; restarts and losses change nothing."""

import random
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest
from redis import Redis

from dfd_core.process.metrics_server import serve_metrics
from dfd_core.queue import keys, records
from dfd_core.types import (
    STOPPED,
    EndEvent,
    ModelInfo,
    Outcome,
    State,
    StreamState,
)
from tests.fixtures_monitor import CALM, FAKE_FROM_TWO, Desk, announce, feed, window, windows
from workers.monitor.notices import Notice


def test_results_become_verdicts_everywhere(desk: Desk, redis_client: Redis) -> None:
    announce(redis_client, "cam", live=True)
    feed(redis_client, *windows("cam", FAKE_FROM_TWO))
    desk.turns()
    assert desk.states() == ["authentic", "suspect", "fake"]
    assert [verdict.state for verdict in desk.entries()] == [State.AUTHENTIC, State.SUSPECT, State.FAKE]
    fake = desk.entries()[-1]
    assert (fake.stream, fake.track, fake.since_s, fake.time_s) == ("cam", 3, 2.0, 5.0)
    assert fake.checks == {"appearance": 0.9}
    assert desk.printed.getvalue().splitlines()[-1] == "cam: face 3 fake from 00:02 (probability 0.90)"


def test_the_end_of_a_source_is_told_once_its_last_window_is_in(desk: Desk, redis_client: Redis) -> None:
    announce(redis_client, "clip", live=False)
    events = windows("clip", FAKE_FROM_TWO)
    feed(redis_client, EndEvent("clip", "r1", 6, None), *events[:-1])
    desk.turns(2)
    assert not any(line["event"] == "end" for line in desk.lines())
    feed(redis_client, events[-1])
    desk.turns()
    end = desk.lines()[-1]
    assert (end["event"], end["state"], end["text"], end["reason"]) == ("end", "fake", "fake from 00:02", None)
    assert desk.printed.getvalue().splitlines()[-1] == "clip: ended, fake from 00:02"
    assert desk.value("dfd_alarm_active", stream="clip") == 0
    assert redis_client.hkeys(keys.MONITOR_KEY) == [b"cursor", b"anchor", b"retired"]


def test_a_source_without_windows_ends_with_its_reason(desk: Desk, redis_client: Redis) -> None:
    announce(redis_client, "clip", live=False, state=StreamState.ENDED)
    feed(redis_client, EndEvent("clip", "r1", -1, "no picture"))
    desk.turns()
    assert desk.printed.getvalue() == "clip: ended, not scorable (no picture)\n"


def test_any_order_of_results_gives_the_same_verdicts(desk: Desk, redis_client: Redis) -> None:
    announce(redis_client, "clip", live=False)
    events = windows("clip", FAKE_FROM_TWO + CALM)
    random.Random(0).shuffle(events)
    for event in events:
        feed(redis_client, event)
        desk.turns()
    assert desk.states("clip") == ["authentic", "suspect", "fake", "authentic"]


def test_a_missing_live_window_is_given_up_and_a_files_is_not(desk: Desk, redis_client: Redis) -> None:
    for stream, live in (("cam", True), ("clip", False)):
        announce(redis_client, stream, live=live)
        events = windows(stream, FAKE_FROM_TWO)
        feed(redis_client, *events[:1], *events[2:])
    desk.turns()
    assert (desk.states("cam"), desk.states("clip")) == (["authentic"], ["authentic"])
    time.sleep(0.35)
    desk.turns()
    assert (desk.states("cam"), desk.states("clip")) == (["authentic", "suspect", "fake"], ["authentic"])
    assert desk.value("dfd_windows_total", stream="cam", outcome="missing") == 1
    assert desk.value("dfd_windows_total", stream="clip", outcome="missing") is None


def test_metrics_as_served(desk: Desk, redis_client: Redis) -> None:
    dropped = {"queue_full": 4, "late": 1}
    announce(
        redis_client, "cam", live=True, last_frame_at_s=1234.5, fps=8.0, dropped=dropped, frames=99, clock_drift_s=-7.5
    )
    model = ModelInfo("lite0-v1", "litert", 0.5, 0.4)
    redis_client.set(keys.MODEL_KEY, records.pack_model(model))
    redis_client.zadd(keys.pending_key("cam"), {"r1:7:1000": time.time() - 3, "r1:8:1000": time.time()})
    feed(
        redis_client,
        *windows("cam", FAKE_FROM_TWO),
        window("cam", 7, None),
        window("cam", 8, None, "r1", Outcome.DROPPED),
    )
    desk.turns()
    port = serve_metrics(desk.registry, "127.0.0.1", 0)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as reply:
        lines = reply.read().decode().splitlines()
    assert 'dfd_windows_total{outcome="scored",stream="cam"} 7.0' in lines
    assert 'dfd_windows_total{outcome="not_scorable",stream="cam"} 1.0' in lines
    assert 'dfd_windows_total{outcome="dropped",stream="cam"} 1.0' in lines
    assert 'dfd_fake_probability_bucket{le="0.5",stream="cam"} 2.0' in lines
    assert 'dfd_fake_probability_count{stream="cam"} 7.0' in lines
    assert 'dfd_alarm_active{stream="cam"} 1.0' in lines
    assert 'dfd_alarms_total{stream="cam"} 1.0' in lines
    assert 'dfd_alarm_track{stream="cam"} 3.0' in lines
    assert 'dfd_alarm_since_seconds{stream="cam"} 2.0' in lines
    assert 'dfd_alarm_fake_probability{stream="cam"} 0.9' in lines
    assert "dfd_workers 0.0" in lines
    assert any(line.startswith("dfd_redis_used_bytes ") and float(line.split()[1]) > 0 for line in lines)
    assert 'dfd_stream_last_frame_timestamp_seconds{stream="cam"} 1234.5' in lines
    assert 'dfd_stream_clock_drift_seconds{stream="cam"} -7.5' in lines
    assert 'dfd_frames_dropped_total{reason="queue_full",stream="cam"} 4.0' in lines
    assert 'dfd_window_latency_seconds_count{stream="cam"} 7.0' in lines
    assert 'dfd_queue_windows{stream="cam"} 2.0' in lines
    assert 'dfd_model_info{name="lite0-v1",runtime="litert"} 1.0' in lines
    age = next(float(line.split()[1]) for line in lines if line.startswith("dfd_oldest_window_age_seconds{"))
    assert 3 <= age < 30


def test_counters_of_a_source_grow_with_it_and_survive_its_restart(desk: Desk, redis_client: Redis) -> None:
    for run, dropped in (("r1", 4), ("r1", 6), ("r2", 1), ("r2", 1)):
        announce(redis_client, "cam", live=True, run=run, dropped={"late": dropped})
        desk.monitor._overview.look()
    assert desk.value("dfd_frames_dropped_total", stream="cam", reason="late") == 7


def test_a_silent_source_is_down(desk: Desk, redis_client: Redis) -> None:
    announce(redis_client, "cam", live=True)
    desk.monitor._overview.look()
    assert desk.value("dfd_stream_up", stream="cam") == 1
    assert [row.source for row in desk.monitor.rows()] == ["live"]
    announce(redis_client, "cam", live=True, heartbeat_at_s=time.time() - 60)
    desk.monitor._overview.look()
    assert desk.value("dfd_stream_up", stream="cam") == 0
    assert [row.source for row in desk.monitor.rows()] == ["silent"]


def test_a_restart_neither_repeats_nor_misses(redis_client: Redis, redis_url: str, tmp_path: Path) -> None:
    events = windows("clip", [*FAKE_FROM_TWO, *CALM, *FAKE_FROM_TWO])
    shuffled = [event for i in range(0, len(events), 3) for event in reversed(events[i : i + 3])]
    announce(redis_client, "clip", live=False)
    desk = Desk(redis_url, tmp_path)
    for event in [*shuffled, EndEvent("clip", "r1", len(events) - 1, None)]:
        feed(redis_client, event)
        desk.turns()
        desk.restart()
    desk.turns(2)
    expected = ["authentic", "suspect", "fake", "authentic", "suspect", "fake"]
    assert desk.states("clip") == expected
    assert [verdict.state for verdict in desk.entries()] == expected
    assert [line["event"] for line in desk.lines()].count("end") == 1
    assert desk.value("dfd_alarms_total", stream="clip") in (0, None)  # none began since the last restart
    desk.close()


class Bomb:
    """A sink that dies once, after the others have written and before the cursor moves."""

    def __init__(self) -> None:
        self.armed = True

    def write(self, notices: Sequence[Notice]) -> None:
        if notices and self.armed:
            self.armed = False
            raise ZeroDivisionError

    def close(self) -> None:
        pass


def test_a_death_between_writing_and_moving_on_repeats_nothing(desk: Desk, redis_client: Redis) -> None:
    announce(redis_client, "cam", live=True)
    desk.extra = [Bomb()]
    desk.restart()
    feed(redis_client, *windows("cam", FAKE_FROM_TWO))
    with pytest.raises(ZeroDivisionError):
        desk.turns()
    desk.restart()
    desk.turns()
    assert desk.states() == ["authentic", "suspect", "fake"]
    assert len(desk.entries()) == 3


def test_a_source_that_starts_again_is_a_new_run(desk: Desk, redis_client: Redis) -> None:
    announce(redis_client, "cam", live=True)
    feed(redis_client, *windows("cam", FAKE_FROM_TWO))
    desk.turns()
    announce(redis_client, "cam", live=True, run="r2")
    desk.monitor._overview.look()
    feed(redis_client, *windows("cam", CALM, run="r2"), window("cam", 7, 0.99))  # and a straggler of the first run
    desk.turns()
    assert [(line["event"], line["state"]) for line in desk.lines()] == [
        ("verdict", "authentic"),
        ("verdict", "suspect"),
        ("verdict", "fake"),
        ("end", "fake"),
        ("verdict", "authentic"),
    ]
    assert desk.value("dfd_alarm_active", stream="cam") == 0
    assert desk.value("dfd_alarm_fake_probability", stream="cam") is None


@pytest.mark.parametrize(
    ("live", "error", "up"),
    [
        (False, None, None),
        (False, "cannot be read", None),
        (True, STOPPED, None),
        (True, "refused", 0),
        (True, None, None),
    ],
)
def test_only_a_camera_that_failed_counts_as_down(
    desk: Desk, redis_client: Redis, live: bool, error: str | None, up: float | None
) -> None:
    announce(redis_client, "cam", live=live)
    desk.monitor._overview.look()
    assert desk.value("dfd_stream_up", stream="cam") == 1
    announce(redis_client, "cam", live=live, state=StreamState.ENDED, error=error)
    desk.monitor._overview.look()
    assert desk.value("dfd_stream_up", stream="cam") == up


# Sinks: one contract for all of them


# Reordering
