"""The shipped detector in real processes: a camera to /metrics, and one file through Redis as in `dfd scan`."""

import json
import time
from pathlib import Path

import pytest

from dfd_core.media import stream_name
from dfd_core.models.store import CARD, SHIPPED
from ingest.sources.synthetic import Scene, render_synthetic
from tests.fixtures_processes import PATIENCE_S, verdicts_in

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


def test_a_camera_that_turns_fake_raises_the_alarm_at_metrics(clip, rtsp_server, processes, tmp_path) -> None:
    url = rtsp_server(clip, repeat=1, login="me:hidden").replace("//", "//me:hidden@")
    stream = stream_name(url)
    verdicts = tmp_path / "verdicts.jsonl"
    processes.start("monitor", "--verdicts", str(verdicts))
    processes.start("work")
    processes.wait_for(lambda: processes.has("dfd_model_info"))  # a worker is warm
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
    assert set(alarm["checks"]) == {"appearance", "texture"}  # those that the shipped model weighs
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

    (report,) = [line for line in processes.file("scan").read_text().splitlines() if line.startswith("{")]
    scanned = json.loads(report)
    *changes, end = verdicts_in(verdicts)
    compared = ("track", "state", "since_s", "time_s", "fake_probability", "checks")
    assert scanned["state"] == "fake"
    assert (scanned["state"], scanned["verdict"]) == (end["state"], end["text"])
    assert scanned["fake_probability"] == pytest.approx(end["fake_probability"], abs=1e-6)
    assert len(changes) == len(scanned["verdicts"]) >= 2
    for change, verdict in zip(changes, scanned["verdicts"], strict=True):
        for key in compared:
            assert change[key] == pytest.approx(verdict[key], abs=1e-6), key
