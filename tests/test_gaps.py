"""Gaps between the pictures of a film: pieces that are gone are told, pauses of recordings are not."""

from pathlib import Path

import av
import numpy as np
import pytest

from tests.pictures import four_corners, write_film
from tests.test_reach import KINDS, film, read


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".flv"])
@pytest.mark.parametrize("count", [12, 24, 100])
def test_a_piece_that_is_gone_from_the_middle_of_a_short_film_is_told(tmp_path: Path, suffix: str, count: int) -> None:
    codec, options = KINDS[suffix]
    times = [40 * n for n in range(count)]
    whole = film(tmp_path / f"whole{suffix}", codec, pts_ms=times, options={**options, "g": "6", "b": "400000"})
    (every, partial, _), data = read(whole, fps=25), whole.read_bytes()
    assert (len(every), partial) == (count, None)
    for tenth in range(1, 8):
        path = tmp_path / f"{tenth}{suffix}"
        path.write_bytes(data[: len(data) * tenth // 10] + data[len(data) * (tenth + 2) // 10 :])
        frames, partial, _ = read(path, fps=25)
        assert partial is not None or len(frames) >= 0.9 * count, tenth


@pytest.mark.parametrize("suffix", [".mkv", ".flv"])
def test_packets_that_were_lost_up_to_a_key_frame_are_told(tmp_path: Path, suffix: str) -> None:
    path = film(tmp_path / "whole.mkv", options={"preset": "ultrafast", "g": "12"})
    with av.open(str(path)) as whole, av.open(str(tmp_path / f"a{suffix}"), "w") as rest:
        stream = rest.add_stream_from_template(whole.streams.video[0])
        for number, packet in enumerate(whole.demux(video=0)):
            if packet.size and not 40 < number < 72:
                packet.stream = stream
                rest.mux(packet)
    _, partial, _ = read(tmp_path / f"a{suffix}")
    assert partial is not None
    assert partial.read_s == pytest.approx(119 / 25, abs=0.1)


@pytest.mark.parametrize("count", [1, 3, 5, 20])
@pytest.mark.parametrize(("suffix", "codec"), [(".mpg", "mpeg1video"), (".vob", "mpeg2video"), (".m2ts", "libx264")])
def test_what_containers_pad_the_end_of_a_small_film_with_is_no_loss(
    tmp_path: Path, suffix: str, codec: str, count: int
) -> None:
    pictures = [np.roll(four_corners(), n, axis=1) for n in range(count)]
    frames, partial, _ = read(write_film(tmp_path / f"a{suffix}", pictures, codec=codec), fps=25)
    assert (len(frames), partial) == (count, None)


def test_a_bare_stream_says_that_nobody_can_tell(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.h264", [four_corners()] * 10)
    _, partial, notes = read(path)
    assert partial is None
    assert notes == ["it is a bare h264 stream, of which nobody can tell whether any is missing"]


@pytest.mark.parametrize(("suffix", "codec"), [(".nut", "ffv1"), (".y4m", "wrapped_avframe"), (".ivf", "libvpx")])
def test_a_cut_file_of_a_rarer_kind_is_told_or_noted(tmp_path: Path, suffix: str, codec: str) -> None:
    pictures = [np.roll(four_corners(), n, axis=1) for n in range(40)]
    path = write_film(tmp_path / f"a{suffix}", pictures, codec=codec, options={"g": "4"} if codec == "libvpx" else {})
    assert read(path, fps=25)[1] is None
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])
    _, partial, notes = read(path, fps=25)
    assert suffix != ".ivf" or partial is not None
    kind = {".nut": "nut", ".y4m": "yuv4mpegpipe"}.get(suffix)
    told = f"it is a file of the kind {kind}, of which nobody can tell whether any is missing"
    assert notes == ([told] if kind else [])


def evenly(pictures: int, *starts_ms: int) -> list[int]:
    """Times of as many pictures, 40 ms apart, from each start on."""
    return [start + 40 * n for start in starts_ms for n in range(pictures)]


PAUSES = {
    "between runs": evenly(20, 0, 3000, 7000, 9500),
    "between long runs": evenly(40, 0, 3000, 7000, 10000),
    "where a key frame is due": evenly(100, 0, 6000),
    "between a few pictures": evenly(4, 0, 500, 2700, 3500),
    "of other steps": [int(t) for t in np.cumsum(np.random.default_rng(3).integers(20, 120, 60))] + [9000, 9040],
    "only": list(range(0, 30000, 3000)),
}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".flv", ".ts"])
@pytest.mark.parametrize("pauses", PAUSES)
def test_pauses_of_a_whole_file_are_no_loss(tmp_path: Path, suffix: str, pauses: str) -> None:
    codec, options = KINDS[suffix]
    frames, partial, _ = read(film(tmp_path / f"a{suffix}", codec, pts_ms=PAUSES[pauses], options=options))
    assert partial is None
    assert frames[-1].time_s == pytest.approx((PAUSES[pauses][-1] - PAUSES[pauses][0]) / 1000, abs=0.2)


def test_pauses_between_pictures_that_are_all_key_frames_are_no_loss(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", pts_ms=PAUSES["between runs"], options={"g": "1", "preset": "ultrafast"})
    assert read(path)[1] is None
