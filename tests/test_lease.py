"""One monitor at a time: the second waits, and takes over when the first one ends or dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from prometheus_client import CollectorRegistry
from redis import Redis

from dfd_core.environment import environment_of
from dfd_core.queue import keys
from dfd_core.queue.lease import Lease, new_owner
from tests.fixtures_monitor import FAKE_FROM_TWO, announce, feed, settings_for, wait_for, windows
from tests.fixtures_processes import verdicts_in
from workers.monitor.command import wait_for_turn
from workers.monitor.metrics import MonitorMetrics


def test_a_lease_has_one_holder_until_it_lets_go_or_dies(redis_client: Redis) -> None:
    first, second = (Lease(redis_client, "dfd:lease:x", new_owner(), ttl_s=0.2) for _ in range(2))
    assert first.hold()
    assert first.hold()
    assert not second.hold()
    second.release()
    assert second.holder() == new_owner().rpartition(":")[0]
    first.release()
    assert second.hold()
    assert not first.hold()
    wait_for(first.hold, 10)  # the second one says nothing any more
    assert not second.hold()


def test_who_waits_says_so_once_and_shows_it(redis_client: Redis) -> None:
    first, second = (Lease(redis_client, keys.MONITOR_LEASE_KEY, new_owner()) for _ in range(2))
    assert first.hold()
    registry, stop, said = CollectorRegistry(), threading.Event(), list[str]()
    metrics = MonitorMetrics(registry)
    waiting = threading.Thread(target=wait_for_turn, args=(second, stop, metrics, said.append))
    waiting.start()
    try:
        wait_for(lambda: registry.get_sample_value("dfd_monitor_active") == 0 and bool(said), 10)
        time.sleep(0.7)
        first.release()
        waiting.join(20)
        assert registry.get_sample_value("dfd_monitor_active") == 1
        assert not first.hold()
    finally:
        stop.set()
        waiting.join(20)
    assert len(said) == 1
    assert "this one takes over when it ends" in said[0]


def test_a_killed_monitor_is_followed_by_the_one_that_waits(
    redis_client: Redis, redis_url: str, tmp_path: Path
) -> None:
    """States go on, results in between are read, nothing is told twice; the one that comes back waits in turn."""
    environ = {**os.environ, **environment_of(settings_for(redis_url))}
    running = []

    def start(name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dfd_core.cli", "monitor", "--verdicts", str(tmp_path / name)]
        running.append(subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
        return running[-1]

    def held_by(process: subprocess.Popen[bytes]) -> bool:
        holder = redis_client.get(keys.MONITOR_LEASE_KEY) or b""
        return f":{process.pid}:".encode() in holder

    try:
        first = start("first")
        wait_for(lambda: held_by(first))
        second = start("second")
        assert second.stderr is not None
        assert b"takes over when it ends" in second.stderr.readline()
        announce(redis_client, "cam", live=False)
        events = windows("cam", FAKE_FROM_TWO)
        feed(redis_client, *events[:5])
        wait_for(lambda: len(verdicts_in(tmp_path / "first")) == 3)
        first.send_signal(signal.SIGKILL)
        since_s = time.monotonic()
        feed(redis_client, *events[5:], *windows("cam", [0.1] * 14)[7:])
        wait_for(lambda: held_by(second))
        took_s = time.monotonic() - since_s
        wait_for(lambda: len(verdicts_in(tmp_path / "second")) == 1)
    finally:
        for process in running:
            process.kill()
            process.wait()
            process.stderr.close()
    assert [line["state"] for line in verdicts_in(tmp_path / "first")] == ["authentic", "suspect", "fake"]
    assert [line["state"] for line in verdicts_in(tmp_path / "second")] == ["authentic"]
    assert redis_client.xlen(keys.VERDICTS_KEY) == 4
    assert took_s < 10
