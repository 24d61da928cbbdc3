"""Real `dfd` commands on one Redis, for tests that watch the whole product from outside."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dfd_core.environment import environment_of
from dfd_core.settings import Settings
from tests.fixtures_redis import free_port

PATIENCE_S = 400.0  # for busy machines; each wait ends as soon as it can


class Processes:
    """Starts `dfd` commands on one Redis; what they print goes to files."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.monitor_port = free_port()
        values = {
            "metrics.evidence_port": 0,
            "metrics.ingest_port": 0,
            "metrics.worker_port": 0,
            "metrics.monitor_port": self.monitor_port,
        }
        values |= {"redis.url": redis_url, "video.open_timeout_s": 60.0, "video.read_timeout_s": 60.0}
        values |= {"worker.hang_timeout_s": PATIENCE_S, "queue.stale_s": PATIENCE_S, "queue.payload_ttl_s": PATIENCE_S}
        self._environment = {**os.environ, **environment_of(Settings().with_values(values))}

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        with self.file(argv[0]).open("wb") as out:
            command = [sys.executable, "-m", "dfd_core.cli", *argv]
            process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=self._environment)
        self._running[argv[0]] = process
        return process

    def file(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def printed(self) -> str:
        return "\n".join(f"== {name}\n{self.file(name).read_text()}" for name in self._running)

    def wait_for(self, condition) -> None:  # type: ignore[no-untyped-def]
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"nothing happened in time\n{self.printed()}"
            time.sleep(0.25)

    def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """What /metrics of the monitor serves: sample name and labels to value; empty before it serves."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.monitor_port}/metrics", timeout=10) as reply:
                text = reply.read().decode()
        except OSError:
            return {}
        families = text_string_to_metric_families(text)
        return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics().get((name, frozenset(labels.items())), 0.0)

    def has(self, name: str) -> bool:
        return any(name == known for known, _ in self.metrics())

    def stop(self) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def verdicts_in(path: Path) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def processes(tmp_path: Path, redis_url: str) -> Iterator[Processes]:
    """Starts `dfd` commands on a Redis of their own and ends them after the test."""
    processes = Processes(tmp_path, redis_url)
    yield processes
    processes.stop()
