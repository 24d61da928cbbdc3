"""The shipped detector in real processes: a camera to /metrics, and one file through Redis as in `dfd scan`."""

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

from dfd_core.models.store import CARD, SHIPPED
from dfd_core.settings import Settings, environment_of
from dfd_core.video import stream_name
from ingest.sources.synthetic import Scene, render_synthetic
from tests.fixtures_redis import free_port

PATIENCE_S = 400.0  # for busy machines; each wait ends as soon as it can
FAKE_FROM_S = 8.0
SCENE = Scene(duration=20.0, fake_from=FAKE_FROM_S, size=(640, 360), fps=16)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that is authentic first and fake from FAKE_FROM_S on."""
    pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    render_synthetic(path, SCENE)
    return path


class Processes:
    """Starts `dfd` commands on one Redis; what they print goes to files."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.monitor_port = free_port()
        values = {"metrics.ingest_port": 0, "metrics.worker_port": 0, "metrics.monitor_port": self.monitor_port}
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

    def stop(self) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def processes(tmp_path: Path, redis_url: str) -> Iterator[Processes]:
    processes = Processes(tmp_path, redis_url)
    yield processes
    processes.stop()


def verdicts_in(path: Path) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_camera_that_turns_fake_raises_the_alarm_at_metrics(clip, rtsp_server, processes, tmp_path) -> None:
    url = rtsp_server(clip, repeat=1, login="me:hidden").replace("//", "//me:hidden@")
    stream = stream_name(url)
    verdicts = tmp_path / "verdicts.jsonl"
    processes.start("monitor", "--verdicts", str(verdicts))
    processes.start("work")
    processes.wait_for(lambda: any(name == "dfd_model_info" for name, _ in processes.metrics()))  # a worker is warm
    processes.start("ingest", url)
    processes.wait_for(lambda: processes.metric("dfd_alarm_active", stream=stream) == 1)
    assert processes.metric("dfd_alarms_total", stream=stream) >= 1
    assert processes.metric("dfd_windows_total", stream=stream, outcome="scored") >= 3
    assert processes.metric("dfd_windows_total", stream=stream, outcome="failed") == 0
    assert processes.metric("dfd_window_latency_seconds_count", stream=stream) >= 3
    assert processes.metric("dfd_fake_probability_count", stream=stream) >= 3
    assert 0 < processes.metric("dfd_stream_last_frame_timestamp_seconds", stream=stream) < time.time()
    card = json.loads((SHIPPED / CARD).read_text())
    assert any(
        name == "dfd_model_info" and card["name"] in dict(labels)["name"] for name, labels in processes.metrics()
    )
    alarm = next(v for v in verdicts_in(verdicts) if v["state"] == "fake")
    assert FAKE_FROM_S - 2.5 <= alarm["since_s"] <= FAKE_FROM_S + 2.5  # a window is two seconds long
    assert alarm["fake_probability"] >= card["thresholds"]["enter"]
    assert set(alarm["checks"]) >= {"appearance", "noise", "temporal"}
    everything = processes.printed() + str(processes.metrics()) + verdicts.read_text()
    assert "hidden" not in everything


def test_a_file_through_redis_gets_the_verdicts_of_a_scan(clip, processes, tmp_path) -> None:
    verdicts = tmp_path / "verdicts.jsonl"
    processes.start("monitor", "--verdicts", str(verdicts))
    processes.start("work")
    ingest = processes.start("ingest", str(clip))
    processes.wait_for(lambda: ingest.poll() is not None)
    assert ingest.returncode == 0, processes.printed()
    processes.wait_for(lambda: any(v["event"] == "end" for v in verdicts_in(verdicts)))
    assert processes.start("scan", "--json", str(clip)).wait(PATIENCE_S) == 0, processes.printed()

    scanned = json.loads(processes.file("scan").read_text().splitlines()[-1])
    *changes, end = verdicts_in(verdicts)
    compared = ("track", "state", "since_s", "time_s", "fake_probability", "checks")
    assert scanned["state"] == "fake"
    assert (scanned["state"], scanned["verdict"]) == (end["state"], end["text"])
    assert scanned["fake_probability"] == pytest.approx(end["fake_probability"], abs=1e-6)
    assert len(changes) == len(scanned["verdicts"]) >= 2
    for change, verdict in zip(changes, scanned["verdicts"], strict=True):
        for key in compared:
            assert change[key] == pytest.approx(verdict[key], abs=1e-6), key
