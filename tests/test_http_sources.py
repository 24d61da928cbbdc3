"""What comes over HTTP: files and live streams are told apart, segments and pictures without times lose nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from dfd_core.errors import PartialError, RefusedError, VideoError
from dfd_core.media import found_live, read_frames
from dfd_core.media.live import LiveSource
from dfd_core.media.pacing import Pace
from dfd_core.settings import VideoSettings
from dfd_core.types import Frame
from ingest.sources import Source, open_source
from tests.clips import picture_bytes, write_clip
from tests.http_streams import Hls, HttpStreams, at_pace, mjpeg, remuxed, serving
from tests.stamps import restamped

SETTINGS = VideoSettings(open_timeout_s=20.0, read_timeout_s=10.0, reconnect_max_s=0.5)
PLAIN = {"preset": "ultrafast", "g": "25", "bf": "0", "threads": "1"}


@pytest.fixture
def server() -> Iterator[HttpStreams]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds."""
    return write_clip(tmp_path_factory.mktemp("film") / "film.mp4", frames=200, options=PLAIN)


def contained(film: Path, suffix: str, folder: Path) -> bytes:
    """The film as live servers send it, of which they know no end."""
    kinds = {
        ".ts": ("mpegts", {}),
        ".flv": ("flv", {}),
        ".mp4": ("mp4", {"movflags": "frag_keyframe+empty_moov+default_base_moof"}),
        ".mkv": ("matroska", {"live": "1"}),
    }
    return remuxed(film, folder / f"live{suffix}", *kinds[suffix]).read_bytes()


def taken(source: Source, seconds: float) -> list[Frame]:
    """What a live source gives for so long."""
    frames: list[Frame] = []
    with closing(source.frames()) as coming:  # type: ignore[type-var]
        for frame in coming:
            frames.append(frame)
            if frame.time_s >= seconds:
                break
    return frames


@pytest.mark.parametrize("suffix", [".ts", ".flv", ".mp4", ".mkv"])
def test_what_has_no_length_is_live_and_what_has_one_is_a_file(
    film: Path, server: HttpStreams, tmp_path: Path, suffix: str
) -> None:
    data = contained(film, suffix, tmp_path)
    server.streams[f"/live{suffix}"] = "application/octet-stream", lambda: iter([data])
    server.files[f"/film{suffix}"] = lambda: data
    server.files["/download"] = lambda: data
    assert open_source(server.url(f"/live{suffix}"), SETTINGS).live
    assert not open_source(server.url(f"/live{suffix}"), SETTINGS, live=False).live
    assert open_source(server.url(f"/film{suffix}"), SETTINGS, live=True).live
    for path in (f"/film{suffix}", "/download?id=3"):
        file = open_source(server.url(path), SETTINGS)
        assert not file.live
        assert len(list(file.frames())) == 64


def test_a_whole_film_without_a_length_is_a_file(film: Path, server: HttpStreams) -> None:
    server.streams["/film"] = "video/mp4", lambda: iter([film.read_bytes()])
    assert not found_live(server.url("/film"), SETTINGS)


def test_a_live_stream_with_the_name_of_a_file_comes_back(film: Path, server: HttpStreams, tmp_path: Path) -> None:
    data = contained(film, ".ts", tmp_path)[: 188 * 800]
    server.streams["/live.ts"] = "video/mp2t", at_pace(data, 1.0)
    source = open_source(server.url("/live.ts"), SETTINGS)
    frames = taken(source, 4.0)
    assert source.reconnects >= 1
    assert np.all(np.diff([frame.time_s for frame in frames]) > 0)


def test_a_finished_list_of_segments_is_a_file(film: Path, server: HttpStreams, tmp_path: Path) -> None:
    source = open_source(Hls(film, tmp_path / "hls", 2, finished=True).serve(server), SETTINGS)
    assert not source.live
    assert len(list(source.frames())) == 64
    assert (source.dropped, source.reconnects) == (0, 0)


def test_segments_are_paced_and_none_of_their_pictures_is_dropped(
    film: Path, server: HttpStreams, tmp_path: Path
) -> None:
    source = open_source(Hls(film, tmp_path / "hls", 2, finished=False).serve(server), SETTINGS)
    assert source.live
    began = time.monotonic()
    frames = taken(source, 5.5)
    assert time.monotonic() - began > 4.5
    assert source.dropped == 0
    assert len(frames) == pytest.approx(45, abs=2)
    assert np.diff([frame.time_s for frame in frames]).max() < 0.5


def test_the_pace_is_that_of_the_stamps_whatever_the_segments() -> None:
    """Segments of 6 s of 25 pictures a second that come at once, the fourth of them 2 s late."""
    pace, now = Pace(), 100.0
    shown = []
    for n in range(900):
        arrived = 100.0 + n // 150 * 6 + (2.0 if n >= 450 else 0.0)
        now = max(now, arrived)
        now += pace.wait_s(n / 25, now)
        shown.append(now)
    steps = np.diff(shown)
    assert steps[steps > 0.041].tolist() == pytest.approx([2.04], abs=0.01)
    assert shown[449] == pytest.approx(100 + 449 / 25)
    assert shown[-1] == pytest.approx(102 + 899 / 25, abs=0.05)


def test_leaps_and_pictures_without_stamps_wait_for_nothing() -> None:
    pace = Pace()
    waits = [pace.wait_s(pts, 5.0) for pts in (0.0, 0.04, 900.0, 900.04, None, 3.0, 3.04)]
    assert waits == pytest.approx([0.0, 0.04, 0.04, 0.08, 0.08, 0.08, 0.12])


def test_all_pictures_without_times_are_looked_at(server: HttpStreams) -> None:
    server.streams["/video"] = "multipart/x-mixed-replace;boundary=frame", mjpeg(picture_bytes(), 5.0, 200)
    source = open_source(server.url("/video"), SETTINGS)
    assert source.live
    frames = taken(source, 5.0)
    lasted_s = frames[-1].captured_at_s - frames[0].captured_at_s
    assert frames[-1].time_s == pytest.approx(lasted_s, abs=0.7)
    looked_at = [frame.index for frame in frames if frame.time_s > 1]  # what came while it was opened came at once
    assert len(looked_at) + source.dropped >= 18
    assert source.dropped or np.all(np.diff(looked_at) == 1)


def test_stamps_of_a_real_stream_may_leap(film: Path, server: HttpStreams, tmp_path: Path) -> None:
    data = restamped(contained(film, ".ts", tmp_path), lambda n, at: at + 7200 * (n % 25 == 24) + 3000 * (n > 90))
    server.streams["/live.ts"] = "video/mp2t", at_pace(data, 8.0)
    source = open_source(server.url("/live.ts"), SETTINGS)
    frames = taken(source, 4.0)
    times = np.array([frame.time_s for frame in frames])
    arrived = np.array([frame.captured_at_s for frame in frames])
    assert np.abs(times - (arrived - arrived[0])).max() < 1.0
    assert np.diff(times).max() < 1.0
    assert len(frames) + source.dropped >= 25


@pytest.mark.parametrize("password", ["p/w?#[x]@y:%z", "50%off", "é ü&=+", "quoted%40too"])
def test_passwords_hold_every_character(server: HttpStreams, film: Path, tmp_path: Path, password: str) -> None:
    data = contained(film, ".ts", tmp_path)
    server.login = f"me:{password.replace('%40', '@')}"
    server.files["/film.ts"] = lambda: data
    url = server.url("/film.ts").replace("http://", f"HTTP://me:{password}@")
    assert len(list(open_source(url, SETTINGS).frames())) == 64


def test_a_server_that_refuses_is_left_in_peace(server: HttpStreams) -> None:
    server.login = "me:right"
    source = open_source(server.url("/live").replace("//", "//me:wr/ong@"), SETTINGS, live=True)
    frames = source.frames()
    threading.Thread(target=lambda: next(frames, None), daemon=True).start()
    deadline = time.monotonic() + 60
    while not (source.trouble and source.resting):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(2.0)
    assert isinstance(source.trouble, RefusedError)
    assert "wr/ong" not in str(source.trouble)
    assert source.reconnects == 0
    assert len([login for login in server.logins if login]) <= 2
    source._newest._stop.set()  # type: ignore[attr-defined]


class Pauses(threading.Event):
    """Over as soon as somebody waits for it, and set after so many `waits`, which it keeps."""

    def __init__(self, waits: int) -> None:
        super().__init__()
        self._left, self.waits = waits, list[float | None]()

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        self._left -= 1
        if not self._left:
            self.set()
        return self.is_set()


@pytest.mark.parametrize("status", [401, 403])
def test_pauses_after_refusals_grow_to_a_quarter_of_an_hour(film: Path, server: HttpStreams, status: int) -> None:
    server.login, server.refuses_by = "me:right", status
    server.streams["/live"] = "video/mp2t", lambda: iter([contained(film, ".ts", film.parent)])
    source = LiveSource(server.url("/live").replace("//", "//me:wrong@"), "cam", SETTINGS)
    stop = Pauses(7)
    assert list(source._connected(stop)) == []
    assert stop.waits == [30, 60, 120, 240, 480, 900, 900]
    assert isinstance(source.trouble, RefusedError)
    assert len([login for login in server.logins if login]) <= 2 * 7
    server.login = None  # the camera lets it in again: what ends then is lost, not refused
    stop = Pauses(1)
    assert len(list(source._connected(stop))) > 0
    assert stop.waits[0] is not None
    assert stop.waits[0] < 1


@pytest.mark.parametrize("missing", [0, 1, -1])
def test_a_finished_list_of_which_a_segment_is_gone_was_read_in_part(
    film: Path, server: HttpStreams, tmp_path: Path, missing: int
) -> None:
    segments = Hls(film, tmp_path / "hls", 2, finished=True)
    url = segments.serve(server)
    assert len(list(read_frames(url, "whole", SETTINGS, live=False))) > 0
    del server.files[f"/{segments.segments[missing]}"]
    with pytest.raises(PartialError, match=r"was read (to|for) 00:0"):
        list(read_frames(url, "cut", SETTINGS, live=False))


LISTS = {
    "local file": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{path}\n#EXT-X-ENDLIST\n",
    "path": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{path}\n#EXT-X-ENDLIST\n",
    "subfile": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nsubfile,,start,0,end,9999,,:{path}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile 'file:{path}'\n",
}


@pytest.mark.parametrize("kind", LISTS)
def test_lists_of_a_server_lead_to_no_local_file(film: Path, server: HttpStreams, tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret.ts"
    secret.write_bytes(contained(film, ".ts", tmp_path))
    server.files["/list.m3u8"] = lambda: LISTS[kind].format(path=secret).encode()
    with pytest.raises(VideoError):
        list(open_source(server.url("/list.m3u8"), SETTINGS, live=False).frames())


@pytest.mark.parametrize("kind", LISTS)
def test_local_lists_are_not_followed(film: Path, tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret.ts"
    secret.write_bytes(contained(film, ".ts", tmp_path))
    for name in ("list.m3u8", "list.mp4"):
        (tmp_path / name).write_text(LISTS[kind].format(path=secret))
        with pytest.raises(VideoError, match="list of other files"):
            list(open_source(str(tmp_path / name), SETTINGS).frames())


@pytest.mark.parametrize("url", ["concat:{path}", "subfile:{path}", "data:{path}", "pipe:0", "CONCAT:/{path}"])
def test_other_protocols_are_refused(tmp_path: Path, url: str) -> None:
    path = write_clip(tmp_path / "a.ts", frames=5)
    with pytest.raises(VideoError):
        list(open_source(url.format(path=path), SETTINGS).frames())
    with pytest.raises(VideoError):
        list(read_frames(url.format(path=path), "s", SETTINGS))
