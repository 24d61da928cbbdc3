"""A monitor on a real server, with every sink and a scraped registry."""

import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from redis import Redis

from dfd_core.queue import keys, records
from dfd_core.queue.broker import connect
from dfd_core.settings import Settings
from dfd_core.types import (
    EndEvent,
    Outcome,
    StreamState,
    StreamStatus,
    Verdict,
    WindowEvent,
    WindowResult,
    WindowScore,
)
from workers.monitor.metrics import MonitorMetrics
from workers.monitor.monitor import Monitor
from workers.monitor.sinks import AlarmSink, JsonlSink, LineSink, RedisSink, Sink

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

    def __init__(self, url: str, folder: Path, silent_s: float = 0.0) -> None:
        self.settings, self.path = settings_for(url), folder / "verdicts.jsonl"
        self.client = connect(self.settings.redis, silent_s)
        self.said: list[str] = []
        self.printed = io.StringIO()
        self.extra: list[Sink] = []
        self.sinks: list[Sink] = []
        self.restart()

    def restart(self) -> None:
        for sink in self.sinks:
            sink.close()
        self.registry = CollectorRegistry()
        sinks = [
            JsonlSink(self.path),
            RedisSink(self.client),
            AlarmSink(self.client),
            LineSink(self.printed),
            *self.extra,
        ]
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


def wait_for(condition: Callable[[], bool], timeout_s: float = 300.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.05)
