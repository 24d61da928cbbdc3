"""Streams that come and go by thousands leave nothing behind: no series, no memory, no keys."""

from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry
from redis import Redis
from redis.connection import Connection

from dfd_core.queue import keys, records
from dfd_core.types import STOPPED, EndEvent, StreamState, StreamStatus
from tests.fixtures_monitor import FAKE_FROM_TWO, feed, settings_for, window
from workers.monitor.metrics import MonitorMetrics
from workers.monitor.monitor import Monitor
from workers.monitor.notices import Notice

FORGET_S = 600.0


class Clock:
    """Seconds that pass when told to; the Unix time that statuses bear goes along."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Kept:
    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def write(self, notices: Sequence[Notice]) -> None:
        self.notices += notices

    def close(self) -> None:
        pass


class Site:
    """A monitor under a clock of ours."""

    def __init__(self, client: Redis, url: str) -> None:
        self.client, self.clock, self.registry, self.sink = client, Clock(), CollectorRegistry(), Kept()
        settings = settings_for(url).with_values({"metrics.forget_s": FORGET_S})
        metrics = MonitorMetrics(self.registry)
        self.monitor = Monitor(client, settings, [self.sink], metrics, clock=self.clock)
        self.monitor._overview._unix = self.clock

    def status(self, stream: str, state: StreamState = StreamState.LIVE, live: bool = True, **values: object) -> None:
        fields = {"run": "r1", "dropped": {"late": 1, "queue_full": 2}, "last_frame_at_s": 5.0, **values}
        status = StreamStatus(stream, state=state, live=live, source="x", heartbeat_at_s=self.clock(), **fields)  # type: ignore[arg-type]
        self.client.hset(keys.STREAMS_KEY, stream, records.pack_status(status))

    def look(self, after_s: float = 0.0) -> None:
        self.clock.now_s += after_s
        self.monitor.turn()
        self.monitor._look()

    def series(self, stream: str | None = None) -> int:
        samples = [sample for family in self.registry.collect() for sample in family.samples]
        return sum(stream is None or sample.labels.get("stream") == stream for sample in samples)

    def value(self, name: str, stream: str) -> float | None:
        return self.registry.get_sample_value(name, {"stream": stream})


@pytest.fixture
def site(redis_client: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr("workers.monitor.monitor.BLOCK_MS", 1)
    return Site(redis_client, redis_url)


@pytest.mark.slow
def test_ten_thousand_streams_of_a_day_leave_nothing_behind(site: Site) -> None:
    rounds, each = 200, 50  # one round is 432 s: at most three are remembered
    at_rest = site.series()
    most_series = most_stored = 0
    for number in range(rounds):
        names = [f"clip-{number}-{index}" for index in range(each)]
        with site.client.pipeline() as pipe:
            here, site.client = site.client, pipe
            for name in names:
                site.status(name, StreamState.ENDED, live=False, run=name)
                feed(pipe, window(name, 0, 0.9, run=name), EndEvent(name, name, 0, None))
            pipe.execute()
            site.client = here
        site.look()
        site.look(after_s=432.0)
        if number % 20 == 19:
            most_series = max(most_series, site.series())
        most_stored = max(most_stored, site.client.hlen(keys.STREAMS_KEY))
    assert len({notice.verdict.stream for notice in site.sink.notices}) == rounds * each
    assert most_stored <= 3 * each
    assert most_series - at_rest <= 3 * each * 60
    for _ in range(3):
        site.look(after_s=432.0)
    assert site.series() == at_rest
    monitor, overview = site.monitor, site.monitor._overview
    kept = overview.statuses, overview.waiting, overview._heard, overview._gone, monitor._book.runs, monitor._latency_s
    assert [len(each) for each in kept] == [0] * 6
    assert monitor._metrics._counted == {}
    assert set(site.client.hkeys(keys.MONITOR_KEY)) == {b"cursor", b"anchor", b"retired"}
    assert len(site.client.hget(keys.MONITOR_KEY, "retired") or b"") < 20_000
    assert site.client.hlen(keys.STREAMS_KEY) == 0
    left = {key.decode() for key in site.client.scan_iter()}
    assert left <= {keys.RESULTS_KEY, keys.MONITOR_KEY, keys.MONITOR_LEASE_KEY, keys.BOARDS_KEY}
    assert (
        site.client.xlen(keys.RESULTS_KEY) == 2 * rounds * each <= keys.RESULTS_CAP
    )  # ingest caps it: here it need not


def test_a_removed_camera_is_forgotten_and_its_last_run_is_told(site: Site) -> None:
    site.status("cam")
    feed(site.client, *[window("cam", seq, p) for seq, p in enumerate(FAKE_FROM_TWO)])
    site.look()
    assert site.value("dfd_stream_up", "cam") == 1
    assert site.value("dfd_alarm_active", "cam") == 1
    site.client.hdel(keys.STREAMS_KEY, "cam")
    site.look(after_s=1)
    assert site.value("dfd_stream_up", "cam") is None  # nobody says that it is down
    assert site.value("dfd_stream_last_frame_timestamp_seconds", "cam") is None
    site.look(after_s=FORGET_S + 1)
    site.look()
    assert site.series("cam") == 0
    assert [notice.final for notice in site.sink.notices][-1]
    assert site.sink.notices[-1].reason == "nobody reads this source any more"


def test_a_camera_whose_ingest_died_counts_as_down_for_a_day(site: Site) -> None:
    site.status("cam")
    site.look()
    for _ in range(23):
        site.look(after_s=3600)
        assert site.value("dfd_stream_up", "cam") == 0
    site.look(after_s=2 * 3600)
    assert site.series("cam") == 0
    assert not site.client.hexists(keys.STREAMS_KEY, "cam")


@pytest.mark.parametrize("over", [STOPPED, None])
def test_a_camera_that_comes_back_is_not_forgotten(site: Site, over: str | None) -> None:
    site.status("cam", StreamState.ENDED, error=over)
    site.look()
    site.look(after_s=FORGET_S - 1)
    site.status("cam")
    site.look()
    site.status("cam")
    site.look(after_s=5)
    assert site.value("dfd_stream_up", "cam") == 1
    assert site.value("dfd_frames_dropped_total", "cam") is None  # it has a reason, too
    assert site.registry.get_sample_value("dfd_frames_dropped_total", {"stream": "cam", "reason": "late"}) == 1


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_a_clock_that_is_set_takes_no_camera_down_for_long(site: Site, step_s: float) -> None:
    """Of the monitor's machine, of the camera's, now or for good: a heartbeat that moves on is life."""
    site.status("cam")
    site.look()
    site.monitor._overview._unix = lambda: site.clock() + step_s
    for _ in range(20):
        site.look(after_s=1)
        site.status("cam")
    site.look()
    assert site.value("dfd_stream_up", "cam") == 1
    site.monitor._overview._unix = site.clock
    camera = site.clock.now_s + step_s
    for second in range(20):
        ours, site.clock.now_s = site.clock.now_s, camera + second
        site.status("cam")
        site.clock.now_s = ours
        site.look(after_s=1)
    assert site.value("dfd_stream_up", "cam") == 1


def test_as_many_round_trips_however_many_streams(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    send = Connection.send_packed_command

    def counted(self: Connection, *args: object, **kwargs: object) -> None:
        sent.append(1)
        send(self, *args, **kwargs)

    site.status("cam")
    site.look()
    monkeypatch.setattr(Connection, "send_packed_command", counted)
    site.monitor._overview.look()
    of_one = len(sent)
    for number in range(200):
        site.status(f"cam-{number}")
    sent.clear()
    site.monitor._overview.look()
    assert len(site.monitor._overview.statuses) == 201
    assert len(sent) == of_one <= 4
