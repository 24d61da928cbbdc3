"""What a URL means, and servers that refuse, stall or die."""

import re
import socket
import time
import traceback
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfd_core.errors import RefusedError, StreamLostError, VideoError
from dfd_core.media import is_live, local_path, read_frames, redact, stream_name, stream_names
from dfd_core.media.urls import for_ffmpeg
from dfd_core.types import Frame
from tests.clips import write_clip
from tests.reading import HASTY, SETTINGS, SLACK_S, read


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://me:secret@cam:554/live?token=secret#x", "rtsp://cam:554/live"),
        ("rtsp://me:se@cr/e?t#@cam/live", "rtsp://cam/live"),
        ("rtsp:/me:secret@cam/live", "rtsp://cam/live"),
        ("https://cam/a.m3u8?key=secret", "https://cam/a.m3u8"),
        ("redis://:secret@host:6379/0", "redis://host:6379/0"),
        ("rtsp://cam:554/user=me&password=secret&channel=1&stream=0.sdp?", "rtsp://cam:554/"),
        ("rtsp://cam/live/USER=me_Password=secret_channel=1.sdp?real_stream", "rtsp://cam/live/"),
        ("rtmp://host/app/cam;token=secret", "rtmp://host/app/cam;"),
        ("rtsp://cam/monkey=1/bypass", "rtsp://cam/monkey=1/bypass"),
        ("rtsp//me:secret@cam/live", "cam/live"),
        ("//me:secret@cam/live", "cam/live"),
        ("http:\\\\me:secret@cam\\live", "cam\\live"),
        ("videos/a@b?c.mp4", "videos/a@b?c.mp4"),
        ("file:///videos/a@b.mp4", "file:///videos/a@b.mp4"),
    ],
)
def test_redact(url: str, shown: str) -> None:
    assert redact(url) == shown


@pytest.mark.parametrize(
    ("url", "live"),
    [
        ("rtsp://cam/x", True),
        ("RTSPS://cam/x", True),
        ("http://cam/live.m3u8", True),
        ("https://host/clip.MP4?x=1", False),
        ("clip.mp4", False),
        ("file:///clip.mp4", False),
    ],
)
def test_is_live(url: str, live: bool) -> None:
    assert is_live(url) is live


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("RTSP://cam/x", "rtsp://cam/x"),
        ("rtsp://me:p/w?#[x]@y:%z@cam:554/a?b=c", "rtsp://me:p%2Fw%3F%23%5Bx%5D%40y%3A%25z@cam:554/a?b=c"),
        ("rtsp://me:p%40ss@cam/x", "rtsp://me:p%40ss@cam/x"),
        ("rtsp://cam/x?mail=a@b", "rtsp://cam/x?mail=a@b"),
        ("rtsp://10.0.0.7:554/x?mail=a@b", "rtsp://10.0.0.7:554/x?mail=a@b"),
        ("rtsp://[::1]:554/x", "rtsp://[::1]:554/x"),
    ],
)
def test_what_ffmpeg_is_given(url: str, read: str) -> None:
    assert for_ffmpeg(url) == read


PASSWORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=24)


@given(PASSWORDS.filter(lambda text: not re.match(r"\d{1,5}([/?#]|$)", text)), st.sampled_from(["me", "admin.2"]))
@settings(max_examples=300)
def test_any_password_reaches_the_server_and_nobody_else(password: str, user: str) -> None:
    for written in (password, quote(password, safe="")):
        url = f"Rtsp://{user}:{written}@cam.local:554/live/1?x=2"
        login, _, place = for_ffmpeg(url).removeprefix("rtsp://").partition("@")
        assert place == "cam.local:554/live/1?x=2"
        assert not set("/?#[]@") & set(login)
        quoted = login.partition(":")[2]
        if written != password or "%" not in password:
            assert unquote(quoted) == password
        assert redact(url) == "Rtsp://cam.local:554/live/1"
        assert stream_name(url).startswith("cam-local-554-live-1-")


def test_local_path() -> None:
    assert local_path("file:///a%20b.mp4") == Path("/a b.mp4")
    assert local_path("a:b.mp4") == Path("a:b.mp4")
    assert local_path("rtsp://cam/x") is None


def test_stream_names_are_stable_distinct_and_safe() -> None:
    assert stream_name("/videos/My clip.mp4") == "My-clip-mp4"
    assert stream_name("rtsp://me:secret@cam:554/live/1") == "cam-554-live-1"
    assert stream_name("synthetic://?duration=2") == "synthetic"
    assert stream_name("http:\\\\me:secret@cam\\live") == "cam-live"
    of_a_recorder = [stream_name(f"rtsp://dvr/user=me_password=secret_channel={n}.sdp") for n in (1, 2)]
    assert len(set(of_a_recorder)) == 2
    assert not any("secret" in name for name in of_a_recorder)
    channels = [stream_name(f"rtsp://cam/live?channel={n}") for n in (1, 2)]
    assert len(set(channels)) == 2
    assert stream_names(["a/x.mp4", "b/x.mp4", "c/x.mp4"]) == ["x-mp4", "x-mp4-2", "x-mp4-3"]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", stream_name(url)) for url in ("äö", "://", "x" * 99 + "/", "a  b"))


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_refused_connection_shows_no_password(
    scheme: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(StreamLostError, match="nothing listens there") as caught:
        read(f"{scheme}://me:hidden@127.0.0.1:{port}/live?token=hidden", HASTY)
    captured = capfd.readouterr()
    told = "".join(traceback.format_exception(caught.value)) + captured.out + captured.err + caplog.text
    assert f"{scheme}://127.0.0.1:{port}/live" in told
    assert "hidden" not in told.replace("me:hidden@127.0.0.1:{port}/live?token=hidden", "")


def test_a_dead_host_shows_no_password() -> None:
    with pytest.raises(StreamLostError, match=r"rtsp://no-such-host\.invalid/live: the host cannot be found") as caught:
        read("rtsp://me:hidden@no-such-host.invalid/live", HASTY)
    assert "hidden" not in str(caught.value)


def test_an_unknown_scheme_is_told() -> None:
    with pytest.raises(VideoError, match="unknown kind of URL"):
        read("gopher9://host/x")


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_server_that_accepts_and_sends_nothing_times_out(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = time.monotonic()
        with pytest.raises(StreamLostError, match="no answer within 2 s"):
            read(f"{scheme}://127.0.0.1:{server.getsockname()[1]}/live", HASTY)
        assert 1.5 < time.monotonic() - started < 2 + SLACK_S


PATIENT = replace(SETTINGS, open_timeout_s=60.0, read_timeout_s=15.0)


def test_rtsp_frames_arrive_in_order(rtsp_server, tmp_path: Path) -> None:
    url = rtsp_server(write_clip(tmp_path / "clip.mp4"), repeat=2)
    frames: list[Frame] = []
    with pytest.raises(StreamLostError, match="ended its stream"):
        frames.extend(read_frames(url, "cam", PATIENT))
    times = [frame.time_s for frame in frames]
    assert len(frames) > 20
    assert times[0] == 0
    assert np.all(np.diff(times) > 0)
    assert 2 < times[-1] < 4.5  # what came while it was opened arrives at once
    assert frames[0].image.shape == (240, 320, 3)


def test_rtsp_server_that_dies_is_a_lost_stream(rtsp_server, tmp_path: Path) -> None:
    frames = read_frames(rtsp_server(write_clip(tmp_path / "clip.mp4"), repeat=5), "cam", PATIENT)
    next(frames)
    rtsp_server.kill()
    started = time.monotonic()
    with pytest.raises(StreamLostError):
        list(frames)
    assert time.monotonic() - started < PATIENT.read_timeout_s + SLACK_S


def test_rtsp_server_that_hangs_is_a_lost_stream_after_one_timeout(rtsp_server, tmp_path: Path) -> None:
    settings = replace(PATIENT, read_timeout_s=5.0)
    frames = read_frames(rtsp_server(write_clip(tmp_path / "clip.mp4"), repeat=9), "cam", settings)
    times = [next(frames).captured_at_s for _ in range(20)]
    rtsp_server.freeze()
    with pytest.raises(StreamLostError, match="for 5 s"):
        times.extend(frame.captured_at_s for frame in frames)
    assert max(np.diff(times)) < settings.read_timeout_s  # none that FFmpeg held back and gives out when it gives up


def test_rtsp_login(rtsp_server, tmp_path: Path) -> None:
    url = rtsp_server(write_clip(tmp_path / "clip.mp4"), login="me:p@ss/word")
    for password in (quote("p@ss/word", safe=""), "p@ss/word"):
        good = url.replace("rtsp://", f"RTSP://me:{password}@")
        assert next(read_frames(good, "cam", PATIENT)).image.shape == (240, 320, 3)
    with pytest.raises(RefusedError, match="user name or password refused") as caught:
        next(read_frames(url.replace("//", "//me:hidden@"), "cam", PATIENT))
    assert "hidden" not in str(caught.value)
