"""A camera whose feed is replayed: a real RTSP server, ingest, monitor, and what an operator sees of it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from dfd_core.cli.main import main
from ingest.sources.synthetic import Scene, render_synthetic

LENGTH_S = 7


@pytest.mark.slow
def test_a_replayed_camera_is_told_as_looped(
    rtsp_server, processes, tmp_path: Path, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the metric and by `dfd streams list`; paused, it is so no more."""
    clip = tmp_path / "clip.mp4"
    render_synthetic(clip, Scene(duration=LENGTH_S, fake_from=99, size=(320, 180), fps=16, seed=0))
    url = rtsp_server(clip, repeat=200)
    processes.start("monitor")
    processes.wait_for(lambda: processes.has("dfd_monitor_active"))
    processes.start("ingest")  # reads nothing yet

    def state(name: str) -> bool:
        return processes.metric("dfd_stream_state", stream="lobby", state=name) == 1

    def ordered(*argv: str) -> str:
        assert main(["streams", *argv, "--redis", redis_url]) == 0
        return capsys.readouterr().out.strip()

    assert ordered("add", "lobby", "--url", url).startswith("lobby is ")  # read now, or once ingest has started
    processes.wait_for(lambda: state("live"))
    processes.wait_for(lambda: state("looped"))
    (listed,) = map(json.loads, ordered("list", "--json").splitlines())
    assert (listed["condition"], listed["error"]) == ("looped", None)
    assert listed["since_at_s"] <= time.time()
    assert ordered("pause", "lobby") == "lobby is paused."  # within the five seconds that it waits
    processes.wait_for(lambda: state("paused"))
