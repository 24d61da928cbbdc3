"""Faults of section B: which stream of a file is read, how much of it, and at which times."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from dfd_core.detector import scan_file
from dfd_core.errors import PartialError, VideoError
from dfd_core.judging.scoring import load_scorer
from dfd_core.media import read_frames
from dfd_core.settings import Settings, VideoSettings
from dfd_core.types import Frame
from tests.clips import write_clip
from tests.pictures import four_corners

SETTINGS = VideoSettings()


def read(path: Path, fps: float = SETTINGS.sample_fps) -> tuple[list[Frame], PartialError | None, list[str]]:
    """All frames, what was raised at their end, and the notes."""
    frames, notes = list[Frame](), list[str]()
    try:
        for frame in read_frames(str(path), "s", replace(SETTINGS, sample_fps=fps), note=notes.append):
            frames.append(frame)
    except PartialError as error:
        return frames, error, notes
    return frames, None, notes


def film(
    path: Path,
    codec: str = "libx264",
    *,
    sound_s: float = 0.0,
    start_s: float = 0.0,
    pts_ms: list[int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Six seconds of a picture that moves at 25 frames a second from `start_s` on, or at `pts_ms`; sound from 0 on."""
    noise = np.random.default_rng(0).integers(0, 90, (144, 176, 3), dtype=np.uint8)
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        video = container.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = 176, 144, "yuv420p"
        video.options = {"g": "25", **(options or {})}
        video.codec_context.time_base = Fraction(1, 1000 if pts_ms else 25)
        audio = (
            container.add_stream("mp2" if path.suffix in (".avi", ".mpg") else "aac", rate=48000) if sound_s else None
        )
        for index in range(len(pts_ms) if pts_ms else 150):
            frame = av.VideoFrame.from_ndarray(np.roll(noise, index * 3, 1), format="rgb24")
            frame.pts = pts_ms[index] if pts_ms else index + round(start_s * 25)
            frame.time_base = video.codec_context.time_base
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for first in range(0, round(sound_s * 48000) if audio else 0, 1152):
            hum = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 1152), np.int16), format="s16", layout="stereo")
            hum.rate, hum.pts, hum.time_base = 48000, first, Fraction(1, 48000)
            container.mux(audio.encode(hum))
        if audio:
            container.mux(audio.encode())
    return path


def cut(data: bytearray) -> bytearray:
    return data[: len(data) * 3 // 10]


def emptied(data: bytearray) -> bytearray:
    data[len(data) // 4 :] = bytes(len(data) - len(data) // 4)
    return data


def holed(data: bytearray) -> bytearray:
    data[len(data) * 3 // 10 : len(data) * 6 // 10] = bytes(len(data) * 6 // 10 - len(data) * 3 // 10)
    return data


def spliced(data: bytearray) -> bytearray:
    return data[: len(data) * 3 // 10] + data[len(data) * 6 // 10 :]


KINDS = {
    ".mp4": ("libx264", {"preset": "ultrafast"}),
    ".mkv": ("libx264", {"preset": "ultrafast"}),
    ".ts": ("libx264", {"preset": "ultrafast"}),
    ".flv": ("libx264", {"preset": "ultrafast"}),
    ".avi": ("mpeg4", {"b": "2000000"}),
    ".mpg": ("mpeg2video", {"b": "2000000"}),
    ".webm": ("libvpx", {"deadline": "realtime", "cpu-used": "-8", "b": "2000000"}),
    ".wmv": ("wmv2", {"b": "2000000"}),
    ".ogv": ("libvpx", {"deadline": "realtime", "cpu-used": "-8", "b": "2000000"}),
}


@pytest.fixture(scope="module", params=KINDS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole film of each kind."""
    codec, options = KINDS[request.param]
    return film(tmp_path_factory.mktemp("whole") / f"whole{request.param}", codec, options=options)


def test_what_is_whole_says_nothing(whole: Path) -> None:
    assert read(whole)[1] is None


@pytest.mark.parametrize("damage", [cut, emptied, holed, spliced])
def test_what_is_read_in_part_says_so(tmp_path: Path, whole: Path, damage: Callable[[bytearray], bytearray]) -> None:
    suffix = whole.suffix
    (tmp_path / f"part{suffix}").write_bytes(damage(bytearray(whole.read_bytes())))
    frames, partial, _ = read(tmp_path / f"part{suffix}")
    assert frames
    assert partial is not None
    assert partial.read_s is not None
    assert partial.read_s < 5.4
    assert (
        f"part{suffix} was read {'for' if damage in (holed, spliced) and ' for ' in str(partial) else 'to'} 00:0"
        in str(partial)
    )
    if damage is cut and suffix in (".mp4", ".mkv", ".flv", ".avi", ".webm", ".wmv"):
        assert partial.of_s == pytest.approx(6.0, abs=0.2)
        assert "of 00:0" in str(partial)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi", ".mpg"])
@pytest.mark.parametrize("sound_s", [3.0, 12.0])
def test_sound_that_is_shorter_or_longer_is_no_loss(tmp_path: Path, suffix: str, sound_s: float) -> None:
    codec, options = KINDS[suffix]
    frames, partial, _ = read(film(tmp_path / f"a{suffix}", codec, sound_s=sound_s, options=options))
    assert partial is None
    assert frames[-1].time_s == pytest.approx(5.88, abs=0.2)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("start_s", [0.0, 2.0, 5.0])
def test_times_are_those_of_a_player(tmp_path: Path, suffix: str, start_s: float) -> None:
    path = film(tmp_path / f"a{suffix}", sound_s=6.0, start_s=start_s, options={"preset": "ultrafast"})
    frames, partial, _ = read(path)
    assert partial is None
    assert frames[0].time_s == pytest.approx(start_s, abs=0.1)
    assert frames[-1].time_s == pytest.approx(start_s + 5.88, abs=0.2)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("sound_s", [0.0, 6.0])
def test_what_an_edit_list_leaves_out_is_no_loss(tmp_path: Path, suffix: str, sound_s: float) -> None:
    whole = film(tmp_path / f"whole{suffix}", sound_s=sound_s, options={"preset": "veryfast"})
    with av.open(str(whole)) as source, av.open(str(tmp_path / f"a{suffix}"), "w") as sink:
        copies = {stream.index: sink.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.size:
                if packet.stream.type == "video":  # 1.48 s before what is shown, in the middle of a group
                    packet.pts, packet.dts = (round(t - 1.48 / packet.time_base) for t in (packet.pts, packet.dts))
                packet.stream = copies[packet.stream.index]
                sink.mux(packet)
    frames, partial, _ = read(tmp_path / f"a{suffix}")
    assert partial is None
    assert frames[0].time_s == 0
    assert frames[-1].time_s == pytest.approx(6 - 1.48 - 0.04, abs=0.13)


def two_tracks(path: Path, first: int, second: int, *, default: int | None = None, large: int = 1) -> Path:
    """Two tracks of so many pictures, red and blue; track `large` is larger, `default` alone has the flag."""
    with av.open(str(path), "w") as container:
        tracks = []
        for number in (0, 1):
            track = container.add_stream("libx264", rate=25)
            track.width, track.height = (320, 240) if number == large else (160, 120)
            track.pix_fmt, track.options = "yuv420p", {"preset": "ultrafast"}
            track.disposition = av.stream.Disposition.default if default in (None, number) else av.stream.Disposition(0)
            tracks.append(track)
        for number, count in ((0, first), (1, second)):
            image = np.zeros((tracks[number].height, tracks[number].width, 3), np.uint8)
            image[..., 0 if number == 0 else 2] = 220
            for _ in range(count):
                container.mux(tracks[number].encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(tracks[number].encode())
    return path


CHOICES = {
    "a film before a poster": ({"first": 50, "second": 1}, 0),
    "a film before a poster with the flag": ({"first": 50, "second": 1, "default": 1}, 0),
    "the default": ({"first": 50, "second": 50, "default": 0}, 0),
    "the default, though it is shorter": ({"first": 25, "second": 75, "default": 0}, 0),
    "the longer": ({"first": 75, "second": 50}, 0),
    "the larger": ({"first": 50, "second": 50}, 1),
}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("case", CHOICES)
def test_which_stream_is_read_and_that_it_is_told(tmp_path: Path, suffix: str, case: str) -> None:
    how, chosen = CHOICES[case]
    frames, partial, notes = read(two_tracks(tmp_path / f"a{suffix}", **how))
    assert partial is None
    red, _, blue = frames[0].image.mean(axis=(0, 1))
    assert (red > 100, blue > 100) == (chosen == 0, chosen == 1)
    assert len(notes) == 1
    assert notes[0].startswith(f"read was stream {chosen} (h264 ")


def test_one_stream_needs_no_note(tmp_path: Path) -> None:
    assert read(write_clip(tmp_path / "a.mp4"))[2] == []


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif", ".avif"])
def test_moving_pictures_are_films(tmp_path: Path, suffix: str) -> None:
    pictures = [np.roll(four_corners(), 5 * n, axis=1) for n in range(12)]
    images = [Image.fromarray(picture) for picture in pictures]
    more = {"lossless": True} if suffix == ".webp" else {"quality": 95} if suffix == ".avif" else {}
    images[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=images[1:], duration=150, loop=0, **more)
    frames, partial, _ = read(tmp_path / f"a{suffix}")
    assert partial is None
    assert [frame.time_s for frame in frames] == pytest.approx([0.15 * n for n in range(12)])
    assert all(np.abs(f.image.astype(int) - p).mean() < 8 for f, p in zip(frames, pictures, strict=True))


def test_a_damaged_moving_picture_is_read_in_part(tmp_path: Path) -> None:
    images = [Image.fromarray(np.roll(four_corners(), 5 * n, axis=1)) for n in range(12)]
    images[0].save(tmp_path / "a.png", save_all=True, append_images=images[1:], duration=150)
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    frames, partial, _ = read(tmp_path / "cut.png")
    assert 1 < len(frames) < 12
    assert partial is not None


def test_pages_that_are_not_read_are_told(tmp_path: Path) -> None:
    pages = [Image.fromarray(four_corners()) for _ in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    frames, partial, notes = read(tmp_path / "a.tif")
    assert (len(frames), partial) == (1, None)
    assert notes == ["of 3 pictures in it the first was read"]


def test_a_film_behind_a_photo_is_told(tmp_path: Path) -> None:
    Image.fromarray(four_corners()).save(tmp_path / "a.jpg", xmp=b"<x GCamera:MotionPhoto='1'/>")
    with (tmp_path / "a.jpg").open("ab") as photo:
        photo.write(write_clip(tmp_path / "behind.mp4").read_bytes())
    frames, partial, notes = read(tmp_path / "a.jpg")
    assert (len(frames), partial) == (1, None)
    assert notes == ["the video behind the photo was not read"]


@pytest.mark.parametrize("suffix", ["jpg", "webp", "avif", "heic"])
@pytest.mark.parametrize("damage", [cut, emptied])
def test_a_damaged_picture_is_refused_or_read_in_part(
    tmp_path: Path, suffix: str, damage: Callable[[bytearray], bytearray]
) -> None:
    noise = np.kron(np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    Image.fromarray(noise).save(tmp_path / f"a.{suffix}", quality=95)
    assert read(tmp_path / f"a.{suffix}")[1] is None
    (tmp_path / f"b.{suffix}").write_bytes(damage(bytearray((tmp_path / f"a.{suffix}").read_bytes())))
    if suffix == "jpg" or damage is emptied:
        assert read(tmp_path / f"b.{suffix}")[1] is not None
    else:
        with pytest.raises(VideoError, match="whole"):
            read(tmp_path / f"b.{suffix}")


def test_interlaced_h264_is_read(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", options={"preset": "veryfast", "x264-params": "tff=1:bframes=2"})
    assert len(read(path)[0]) == 48


def test_the_report_of_a_cut_file_says_how_far(tmp_path: Path, tiny_model: Path) -> None:
    data = film(tmp_path / "whole.mp4", options={"preset": "ultrafast"}).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    settings = Settings().with_values({"model.path": str(tiny_model)})
    report = scan_file(tmp_path / "cut.mp4", settings, load_scorer(settings))
    assert report.partial
    assert report.of_s == pytest.approx(6.0)
    assert report.read_s is not None
    assert report.read_s < 4
    assert report.reason is not None
    assert "of 00:06" in report.reason
