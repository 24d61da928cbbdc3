import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from redis import Redis

from dfd_core.cli.main import main
from dfd_core.conditions import Condition
from dfd_core.process.children import SPAWN
from dfd_core.queue import keys, records
from dfd_core.settings import Settings
from dfd_core.types import EndEvent, Outcome, StreamState, StreamStatus
from ingest.metrics import StreamCollector
from ingest.publisher import Publisher
from ingest.pump import Pump
from ingest.sources import open_source
from ingest.stream import Teller
from tests.fixtures_monitor import wait_for
from tests.readers import readers_of


def write_video(path, seconds=3, fps=16):
    """Grey noise without a face."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 160, 120, "yuv420p", Fraction(1, fps)
        for _ in range(seconds * fps):
            image = rng.integers(100, 140, (120, 160, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


def ingest(url, *sources):
    return main(["ingest", *map(str, sources), "--redis", url, "--set", "metrics.ingest_port=-1"])


def events(redis):
    return [records.parse_event(entry) for _, entry in redis.xrange(keys.RESULTS_KEY)]


def statuses(redis):
    return {name.decode(): records.parse_status(data) for name, data in redis.hgetall(keys.STREAMS_KEY).items()}


@pytest.mark.slow
def test_files_are_read_to_their_end_and_a_missing_one_is_named(redis_client, redis_url, tmp_path, capfd):
    write_video(tmp_path / "clip.mp4")
    assert ingest(redis_url, tmp_path / "clip.mp4", tmp_path / "nothing.mp4") == 1
    of_clip = [e for e in events(redis_client) if e.stream == "clip-mp4"]
    assert [e.result.outcome for e in of_clip[:-1]] == [Outcome.NOT_SCORABLE] * 3
    run = statuses(redis_client)["clip-mp4"].run
    assert of_clip[-1] == EndEvent("clip-mp4", run, 2, None)
    status = statuses(redis_client)["clip-mp4"]
    assert (status.state, status.frames, status.last_seq, status.live) == (StreamState.ENDED, 24, 2, False)
    missing = statuses(redis_client)["nothing-mp4"]
    assert missing.state is StreamState.ENDED
    assert missing.error is not None
    assert "dfd: nothing-mp4:" in capfd.readouterr().err


@pytest.mark.slow
def test_a_dead_camera_shows_its_state_and_no_password(redis_client, redis_url):
    url = "rtsp://admin:hunter2@127.0.0.1:1/cam?token=hunter2"
    command = [sys.executable, "-c", "import sys; from dfd_core.cli.main import main; sys.exit(main())"]
    flags = ["--redis", redis_url, "--set", "metrics.ingest_port=-1"]
    process = subprocess.Popen([*command, "ingest", url, *flags], stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            found = list(statuses(redis_client).values())
            if found and found[0].error:
                break
            time.sleep(0.1)
    finally:
        started = time.monotonic()
        process.terminate()
        _, stderr = process.communicate(timeout=120)
    assert time.monotonic() - started < 60  # at once, but for a busy machine
    assert process.returncode == 0
    assert (found[0].state, found[0].live) == (StreamState.CONNECTING, True)
    assert found[0].source == "rtsp://127.0.0.1:1/cam"
    told = repr(redis_client.keys()) + repr(redis_client.hgetall(keys.STREAMS_KEY)) + stderr.decode()
    assert "hunter2" not in told + repr(redis_client.xrange(keys.RESULTS_KEY))
    assert isinstance(events(redis_client)[-1], EndEvent)


@pytest.mark.slow
def test_a_reader_that_hangs_is_killed_and_told(redis_client, redis_url):
    command = [sys.executable, "-m", "dfd_core.cli", "ingest", "synthetic://?duration=36000&size=320x240&fps=8"]
    values = {"video.open_timeout_s": 2, "video.read_timeout_s": 2, "video.reconnect_max_s": 1}
    flags = [f"--set={name}={value}" for name, value in (values | {"metrics.ingest_port": -1}).items()]
    process = subprocess.Popen([*command, "--redis", redis_url, *flags], stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and not any(s.frames for s in statuses(redis_client).values()):
            time.sleep(0.1)
        for reader in readers_of(process.pid):
            os.kill(reader, signal.SIGSTOP)
        _, stderr = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 1
    assert re.search(r"synthetic made no progress for \d+ s: its process is killed\.", stderr)
    assert "The process that read synthetic:// died (exit code -9)." in stderr
    (status,) = statuses(redis_client).values()
    assert status.state is StreamState.ENDED
    assert isinstance(events(redis_client)[-1], EndEvent)


def test_a_refused_status_still_reaches_the_parent(redis_client, redis_url, caplog):
    redis_client.acl_setuser("limited", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-hset"])
    receiving, sending = SPAWN.Pipe(duplex=False)
    stop, source = threading.Event(), open_source("synthetic://?duration=2", Settings().video, "cam")
    publisher = Publisher(redis_client, "cam", True, Settings(), stop)
    pump = Pump(source, publisher, Settings(), stop)
    with Redis.from_url(redis_url.replace("redis://", "redis://limited@")) as limited:
        teller = Teller(limited, pump, publisher, sending)
        teller.report()
        teller.report()
    assert receiving.recv().status.stream == receiving.recv().status.stream == "cam"
    assert caplog.text.count("Redis refuses the status of cam") == 1
    redis_client.acl_deluser("limited")


def test_redis_down_at_start_is_one_sentence(capsys):
    assert ingest("redis://:secret@127.0.0.1:1", "clip.mp4") == 1
    assert capsys.readouterr().err == (
        "dfd: Redis at redis://127.0.0.1:1 does not answer (ConnectionError): "
        "start it, or name another with --redis or DFD_REDIS_URL.\n"
    )


@pytest.mark.parametrize(
    ("live", "state", "error", "up"),
    [
        (False, StreamState.LIVE, None, 1),
        (False, StreamState.ENDED, None, None),
        (False, StreamState.ENDED, "stopped", None),
        (True, StreamState.ENDED, "stopped", None),
        (True, StreamState.ENDED, "its process gave up", 0),
        (True, StreamState.LOST, "it ended its stream", 0),
    ],
)
def test_what_ended_as_it_should_is_not_down(live, state, error, up):
    status = StreamStatus("cam", "r1", state, live, "x", 9.0, 8.0, error=error)
    registry = CollectorRegistry()
    StreamCollector(lambda: [status], registry)
    assert registry.get_sample_value("dfd_stream_up", {"stream": "cam"}) == up
    shown = live and up is not None  # "no frames for long" is news of a camera that should send some
    assert (registry.get_sample_value("dfd_stream_last_frame_timestamp_seconds", {"stream": "cam"}) == 8.0) == shown


def test_a_folder_that_waits_for_files_is_not_down(redis_client, tmp_path):
    source, stop = open_source(f"watch://{tmp_path}", Settings().video, "folder"), threading.Event()
    pump = Pump(source, Publisher(redis_client, "folder", False, Settings(), stop), Settings(), stop)
    assert pump.status().state is StreamState.CONNECTING
    running = threading.Thread(target=pump.run)
    running.start()
    try:
        deadline = time.monotonic() + 60
        while not source.resting and time.monotonic() < deadline:
            time.sleep(0.05)
        status = pump.status()
        assert (status.state, status.condition, status.over) == (StreamState.LIVE, Condition.LIVE, False)
    finally:
        stop.set()
        while running.is_alive() and time.monotonic() < deadline:  # a frame lets it look whether to stop
            write_video(tmp_path / f"{time.monotonic_ns()}.mp4", seconds=1)
            running.join(3)
    assert not running.is_alive()


def test_a_folder_that_goes_away_is_offline_and_is_watched_again(redis_client, tmp_path, caplog):
    folder, film = tmp_path / "folder", tmp_path / "film.mp4"
    folder.mkdir()
    write_video(film, seconds=1)
    source, stop = open_source(f"watch://{folder}", Settings().video, "folder"), threading.Event()
    pump = Pump(source, Publisher(redis_client, "folder", False, Settings(), stop), Settings(), stop)
    threading.Thread(target=pump.run, daemon=True).start()
    wait_for(lambda: source.resting)
    for _ in range(2):
        folder.rmdir()
        wait_for(lambda: pump.status().condition is Condition.OFFLINE)
        assert pump.status().error == f"{folder} is gone: what is put into it is read once it is back."
        folder.mkdir()
        wait_for(lambda: pump.status().condition is not Condition.OFFLINE)
    before = pump.status().frames

    def put_in():  # again and again, for it is watched only a moment later
        shutil.copy(film, folder / f"{time.monotonic_ns()}.mp4")
        time.sleep(0.5)
        return pump.status().frames > before

    wait_for(put_in)
    assert pump.status().error is None
    assert caplog.text.count("is gone") == 2
    stop.set()


def test_statuses_become_metrics():
    status = StreamStatus("cam", "r1", StreamState.LIVE, True, "rtsp://h/c", 9.0, 8.0, 7.5, 40, 4, {"slow": 3}, 2)
    registry = CollectorRegistry()
    StreamCollector(lambda: [status], registry)

    def value(name, **labels):
        return registry.get_sample_value(name, {"stream": "cam", **labels})

    assert value("dfd_stream_up") == 1
    assert value("dfd_stream_last_frame_timestamp_seconds") == 8.0
    assert value("dfd_frames_total") == 40
    assert value("dfd_frames_dropped_total", reason="slow") == 3
    assert value("dfd_stream_reconnects_total") == 2


@pytest.mark.slow
def test_streams_come_go_and_change_on_a_running_ingest(redis_client, redis_url, tmp_path, capsys):
    """By `dfd streams`, and by a settings file that is read again; what did not change goes on in the same run."""
    calm = "synthetic://?duration=36000&size=128x128&fps=8"  # a file, but that its table says otherwise
    path = tmp_path / "dfd.toml"
    path.write_text(
        f"[defaults]\nfps = 4\nlive = true\n[streams.calm]\nurl = '{calm}'\n[streams.other]\nurl = '{calm}'\n"
    )
    command = [sys.executable, "-m", "dfd_core.cli", "ingest", "--config", path, "--redis", redis_url]
    errors = (tmp_path / "errors").open("w+b")
    process = subprocess.Popen([*command, "--set", "metrics.ingest_port=-1"], stderr=errors)

    def shown():
        return {name: status.condition.value for name, status in statuses(redis_client).items()}

    def wait_for(condition):
        deadline = time.monotonic() + 300
        while not condition():
            assert time.monotonic() < deadline, (shown(), (tmp_path / "errors").read_text())
            time.sleep(0.1)

    def streams(*argv):
        assert main(["streams", *argv, "--redis", redis_url]) == 0
        return capsys.readouterr().out

    try:
        wait_for(lambda: shown() == {"calm": "live", "other": "live"})
        run = statuses(redis_client)["calm"].run
        assert statuses(redis_client)["calm"].live
        streams("add", "third", "--url", calm, "--fps", "2", "--live", "true")
        wait_for(lambda: shown().get("third") == "live")
        streams("pause", "other")
        wait_for(lambda: shown()["other"] == "paused")
        streams("remove", "third")
        wait_for(lambda: shown()["third"] == "ended")
        path.write_text("[streams.calm]\nurl = 3\n")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: "The settings file is not taken over" in (tmp_path / "errors").read_text())
        assert statuses(redis_client)["calm"].run == run
        path.write_text(f"[streams.calm]\nurl = '{calm}'\nfps = 4\nlive = true\n[streams.new]\nurl = '{calm}&live=1'\n")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: shown().get("new") == "live")
        assert (statuses(redis_client)["calm"].run, shown()["calm"]) == (run, "live")
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        errors.close()
    assert shown() == dict.fromkeys(("calm", "new", "third"), "ended") | {"other": "paused"}


class Told(Exception):
    """Enough was told."""


def test_a_reader_gives_memory_back_twice_a_minute(monkeypatch):
    given = []

    class Brief(Teller):
        """For a minute, without its pauses."""

        def report(self):
            self.seconds = getattr(self, "seconds", -1) + 1
            if self.seconds > 60:
                raise Told

    monkeypatch.setattr("ingest.stream.STATUS_S", 0)
    monkeypatch.setattr("ingest.stream.give_back", lambda: given.append(teller.seconds))
    teller = Brief(None, SimpleNamespace(image=None), None, None)
    with pytest.raises(Told):
        teller.run()
    assert given == [0, 30, 60]
