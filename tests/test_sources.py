import itertools
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dfd_core.errors import SettingsError, VideoError
from dfd_core.media import read_frames
from dfd_core.media.protocols import is_built_in
from dfd_core.settings import VideoSettings
from ingest.sources import SOURCES, Source, open_source
from ingest.sources.synthetic import Scene, parse_scene, render_synthetic
from tests.clips import write_clip
from tests.http_streams import HttpStreams, at_pace, serving

SETTINGS = VideoSettings(open_timeout_s=20.0, read_timeout_s=5.0, reconnect_max_s=0.5)
SMALL = "duration=2&fake_from=1&size=320x240"
LONGEST_S = 180.0  # no wait below may take longer, however busy the machine is


def drains() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "dfd-drain"]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def ffmpeg() -> Iterator[Callable[[str], None]]:
    """Starts it with these words; it ends with the test."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg: apt-get install ffmpeg")
    with ExitStack() as ends:

        def start(words: str) -> None:
            process = subprocess.Popen(["ffmpeg", "-v", "error", *words.split()], stderr=subprocess.DEVNULL)
            ends.callback(process.wait)
            ends.callback(process.kill)

        yield start


@pytest.fixture
def sent(tmp_path: Path, ffmpeg: Callable[[str], None]) -> Callable[[str, str, str], str]:
    """Lets ffmpeg send a clip at its pace: `sent(url, container, more)` returns the URL."""

    def send(url: str, container: str, more: str = "") -> str:
        clip = write_clip(tmp_path / "sent.mp4", frames=500)
        ffmpeg(f"-re -i {clip} -c copy -f {container} {more} {url}")
        return url

    return send


@pytest.fixture
def streams() -> Iterator[HttpStreams]:
    with serving() as server:
        yield server


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def put_into(folder: Path) -> str:
    """A folder into which a broken file and a good one are put once it is watched."""
    folder.mkdir()
    data = write_clip(folder.parent / "clip.mp4").read_bytes()

    def put() -> None:
        for n in range(30):  # until it is watched, and then for a while
            time.sleep(0.5)
            (folder / "broken.mp4").write_bytes(b"no film")
            (folder / f"{n}.mp4").write_bytes(data)

    threading.Thread(target=put, daemon=True).start()
    return f"watch://{folder}"


def camera() -> str:
    if not list(Path("/dev").glob("video*")):
        pytest.skip("no camera at /dev/video*")
    return "v4l2:///dev/video0"


@pytest.fixture(params=sorted(set(SOURCES.values())))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A working URL of each kind of source."""

    def http() -> str:
        streams: HttpStreams = request.getfixturevalue("streams")
        film = write_clip(tmp_path / "clip.ts", frames=250).read_bytes()
        streams.streams["/live"] = "video/mp2t", at_pace(film, 10.0)
        return streams.url("/live")

    def srt() -> str:
        """A camera that encrypts; read by way of a relay where PyAV has no SRT, as docs/live.md says."""
        place, secret = f"srt://127.0.0.1:{free_port()}", "passphrase=0123456789ab"
        request.getfixturevalue("sent")(f"{place}?mode=listener&{secret}", "mpegts")
        if is_built_in("srt"):
            return f"{place}?{secret}"
        relayed = f"udp://127.0.0.1:{free_port()}"
        request.getfixturevalue("ffmpeg")(f"-i {place}?{secret} -c copy -f mpegts {relayed}?pkt_size=1316")
        return relayed

    examples = {
        "file": lambda: str(write_clip(tmp_path / "clip.mp4")),
        "rtsp": lambda: request.getfixturevalue("rtsp_server")(write_clip(tmp_path / "clip.mp4"), repeat=10),
        "http": http,
        "rtmp": lambda: request.getfixturevalue("sent")(f"rtmp://127.0.0.1:{free_port()}/live/cam", "flv", "-listen 1"),
        "rtp": lambda: request.getfixturevalue("sent")(f"udp://127.0.0.1:{free_port()}", "mpegts"),
        "srt": srt,
        "v4l2": camera,
        "watch": lambda: put_into(tmp_path / "watched"),
        "synthetic": lambda: f"synthetic://?{SMALL}&live=1",
    }
    return str(examples[request.param]())


def test_every_source_keeps_the_contract(url: str) -> None:
    source: Source = open_source(url, SETTINGS, "cam-1")
    frames = source.frames()
    with closing(frames):  # type: ignore[type-var]
        taken = list(itertools.islice(frames, 10))
    assert source.name == "cam-1"
    assert source.description
    assert len(taken) == 10
    assert {frame.stream for frame in taken} == {"cam-1"}
    assert np.all(np.diff([frame.time_s for frame in taken]) > 0)
    assert np.all(np.diff([frame.index for frame in taken]) > 0)
    assert all(frame.image.dtype == np.uint8 and frame.image.ndim == 3 for frame in taken)
    assert source.live or (source.dropped, source.reconnects) == (0, 0)  # a stalled machine may miss a live one
    assert source.trouble is None
    wait_for(lambda: not drains())


def test_names_come_from_the_url() -> None:
    assert open_source("/videos/clip.mp4", SETTINGS).name == "clip-mp4"
    camera = open_source("rtsp://me:secret@cam/live", SETTINGS)
    assert (camera.name, camera.description, camera.live) == ("cam-live", "rtsp://cam/live", True)
    assert not open_source("https://host.invalid/clip.mp4", SETTINGS).live  # where nobody answers, the name must do
    assert open_source("https://host.invalid/clip.mp4", SETTINGS, live=True).live


def test_what_cannot_be_read_here_is_told_at_once() -> None:
    if not is_built_in("srt"):
        with pytest.raises(VideoError, match="without SRT"):
            open_source("srt://cam:9000?passphrase=hidden", SETTINGS)
    for url in ("v4l2:///etc/passwd", "v4l2:///dev/../etc/passwd", "v4l2://"):
        with pytest.raises(VideoError, match="names no camera"):
            open_source(url, SETTINGS)


def test_unknown_kinds_of_url_are_told() -> None:
    with pytest.raises(VideoError, match=r"gopher9://host/x is no source"):
        open_source("gopher9://me:secret@host/x", SETTINGS)


def test_a_file_gives_all_frames_to_a_slow_consumer(tmp_path: Path) -> None:
    source = open_source(str(write_clip(tmp_path / "clip.mp4")), SETTINGS)
    times = []
    for frame in source.frames():
        time.sleep(0.01)
        times.append(frame.time_s)
    assert len(times) == 16
    assert source.dropped == 0


def test_a_camera_that_comes_back_goes_on(rtsp_server, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    url = rtsp_server(clip, repeat=20)
    source = open_source(url, SETTINGS)
    frames = source.frames()
    with closing(frames):  # type: ignore[type-var]
        last = next(frames)
        rtsp_server.kill()
        wait_for(lambda: source.trouble)
        assert url in str(source.trouble)
        rtsp_server(clip, repeat=20, port=int(url.split(":")[2].split("/")[0]))
        seen = last.index
        while source.reconnects == 0 or source.trouble:
            frame = next(frames)
            assert frame.time_s > last.time_s
            assert frame.index > seen
            last, seen = frame, frame.index
        after = next(frames)
    assert after.time_s > last.time_s
    assert source.reconnects >= 1


def test_a_camera_that_is_off_is_waited_for_and_let_go_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    source = open_source(f"rtsp://me:hidden@127.0.0.1:{port}/live", SETTINGS)
    frames = source.frames()
    waiter = threading.Thread(target=lambda: next(frames, None), daemon=True)
    waiter.start()
    wait_for(lambda: source.trouble and source.reconnects)
    assert "nothing listens there" in str(source.trouble)
    assert "hidden" not in str(source.trouble)
    source._newest._stop.set()  # what closing does; a generator that another thread waits in cannot be closed
    wait_for(lambda: not drains() and not waiter.is_alive())


def test_synthetic_parameters() -> None:
    assert parse_scene("synthetic://") == Scene()
    scene = parse_scene("synthetic://canary?duration=3.5&fake_from=1&live=1&size=640x360&fps=30&seed=7")
    assert scene == Scene(3.5, 1.0, 1, (640, 360), 30, 7)


@pytest.mark.parametrize("query", ["speed=2", "fps=fast", "size=640", "size=641x360", "duration=0", "fps=0"])
def test_wrong_synthetic_parameters_are_told(query: str) -> None:
    with pytest.raises(SettingsError, match="synthetic://"):
        parse_scene(f"synthetic://?{query}")


def test_synthetic_is_repeatable_and_only_its_face_changes(tmp_path: Path) -> None:
    fake = Scene(duration=1.0, fake_from=0.5, size=(640, 360), fps=16)
    pictures = []
    for number, scene in enumerate((fake, fake, replace(fake, fake_from=9.0))):
        render_synthetic(tmp_path / f"{number}.mp4", scene)
        frames = list(read_frames(str(tmp_path / f"{number}.mp4"), "s", SETTINGS))
        pictures.append(np.stack([frame.image for frame in frames]).astype(np.int16))
    first, again, real = pictures
    assert np.array_equal(first, again)
    change = np.abs(first - real).mean(axis=-1)
    face, wall = np.s_[:, 120:210, 280:360], np.s_[:, :, :120]
    assert change[:4].mean() < 2
    assert change[5:][face].mean() > 8
    assert change[5:][wall].mean() < 4


def test_synthetic_is_rendered_while_it_is_watched() -> None:
    source = open_source("synthetic://?duration=5&fake_from=9&size=320x240&fps=16", SETTINGS)
    times = [frame.time_s for frame in source.frames()]
    assert times == pytest.approx(np.arange(40) / 8, abs=1e-3)
    hours = open_source("synthetic://?duration=36000&fake_from=9&size=320x240&fps=16", SETTINGS)
    frames = hours.frames()
    assert next(frames).time_s == 0  # would not come for an hour, were the scene rendered first
    frames.close()


def test_live_synthetic_keeps_real_time(tmp_path: Path) -> None:
    source = open_source(f"synthetic://?{SMALL}&live=1", SETTINGS)
    frames = list(source.frames())
    lasted_s = frames[-1].captured_at_s - frames[0].captured_at_s
    assert lasted_s > 0.8 * (frames[-1].time_s - frames[0].time_s)
    assert len(frames) + source.dropped == 16
