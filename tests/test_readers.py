"""One process a source, all forked from one: what happens to one of them, or to that one, stops no other for long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from dfd_core.faces.finder import FaceFinder, preload_networks
from dfd_core.queue import keys, records
from dfd_core.settings import FaceSettings
from dfd_core.types import StreamStatus
from tests.readers import fork_server_of, readers_of

PATIENCE_S = 300.0
LIVE = "synthetic://{}?duration=36000&live=1&size=128x128&fps=8"
QUICK = {"video.open_timeout_s": 2, "video.read_timeout_s": 2, "video.reconnect_max_s": 1, "metrics.ingest_port": -1}


@pytest.fixture
def running(redis_url: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`dfd ingest` of the live streams a and b."""
    command = [sys.executable, "-m", "dfd_core.cli", "ingest", LIVE.format("a"), LIVE.format("b")]
    flags = [f"--set={name}={value}" for name, value in QUICK.items()]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--redis", redis_url, *flags], stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
def test_who_hangs_or_dies_stops_no_other(redis_client: Redis, running: subprocess.Popen[bytes]) -> None:
    def shown() -> dict[str, StreamStatus]:
        told = redis_client.hgetall(keys.STREAMS_KEY).items()  # type: ignore[union-attr]
        return {name.decode(): records.parse_status(data) for name, data in told}

    def advance(name: str, frames: int = 0) -> bool:
        return name in shown() and shown()[name].frames > frames

    wait_for(lambda: advance("a") and advance("b"))
    first, other = readers_of(running.pid)
    before = shown()
    os.kill(first, signal.SIGSTOP)
    wait_for(lambda: advance("b", before["b"].frames + 16))  # while the first one hangs, or is killed for that
    wait_for(lambda: shown()["a"].run != before["a"].run and advance("a"))
    assert shown()["b"].run == before["b"].run
    assert other in readers_of(running.pid)

    server, before = fork_server_of(running.pid), shown()
    assert server is not None
    os.kill(server, signal.SIGKILL)
    wait_for(lambda: all(shown()[name].run != status.run and advance(name) for name, status in before.items()))
    wait_for(lambda: not Path(f"/proc/{other}").exists())  # nobody reads a stream twice

    readers = readers_of(running.pid)
    assert len(readers) == 2
    running.kill()
    wait_for(lambda: not any(Path(f"/proc/{reader}").exists() for reader in readers))


def test_preloaded_networks_are_of_one_finder() -> None:
    preload_networks()
    first, second = FaceFinder(FaceSettings()), FaceFinder(FaceSettings())
    assert first._mesh is not second._mesh
