import gc
import logging
import os
import re
import socket
import struct
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from dfd_core.errors import PartialError, StreamLostError, VideoError
from dfd_core.media import probe, read_frames
from tests.clips import picture_bytes, write_clip, write_sound
from tests.reading import SETTINGS, read


def test_samples_by_pts_at_the_asked_rate(tmp_path: Path) -> None:
    before = time.time()
    frames = read(write_clip(tmp_path / "clip.mp4", frames=50, fps=25))
    assert [frame.index for frame in frames] == [0, 4, 7, 10, 13, 16, 19, 22, 25, 29, 32, 35, 38, 41, 44, 47]
    assert np.allclose([frame.time_s for frame in frames], [frame.index / 25 for frame in frames])
    assert frames[0].image.shape == (240, 320, 3)
    assert frames[0].image.flags.c_contiguous
    assert frames[0].image[120, 100, 0] > 150
    assert frames[0].image[120, 300, 0] < 60
    assert before - 1 <= frames[0].captured_at_s <= time.time() + 1


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".mov", ".avi"])
def test_every_container_has_the_same_times(tmp_path: Path, suffix: str) -> None:
    times = [frame.time_s for frame in read(write_clip(tmp_path / f"clip{suffix}"))]
    assert len(times) == 16
    assert np.allclose(times[:4], [0, 0.16, 0.28, 0.4], atol=0.002)


def test_irregular_frames_keep_their_times(tmp_path: Path) -> None:
    pts_ms = [0, 10, 200, 210, 220, 900, 1000, 3000]
    frames = read(write_clip(tmp_path / "clip.mkv", frames=8, pts_ms=pts_ms))
    assert np.allclose([frame.time_s for frame in frames], [0, 0.2, 0.9, 1.0, 3.0], atol=0.002)


def test_a_jump_back_goes_on_from_there(tmp_path: Path) -> None:
    once = write_clip(tmp_path / "clip.ts").read_bytes()
    (tmp_path / "twice.ts").write_bytes(once + once)
    times = [frame.time_s for frame in read(tmp_path / "twice.ts")]
    assert np.all(np.diff(times) > 0)
    assert 3.6 < times[-1] < 4.2


def test_a_rate_above_the_video_takes_every_frame(tmp_path: Path) -> None:
    assert len(read(write_clip(tmp_path / "clip.mp4", frames=10), replace(SETTINGS, sample_fps=100.0))) == 10


def test_probe_tells_size_rate_and_length(tmp_path: Path) -> None:
    info = probe(str(write_clip(tmp_path / "clip.mp4")), SETTINGS)
    assert (info.width, info.height, info.fps, info.still) == (320, 240, 25.0, False)
    assert info.duration_s == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(("rotation", "red"), [(90, np.s_[160:]), (-90, np.s_[:160])])
def test_rotated_video_is_turned_upright(tmp_path: Path, rotation: int, red: slice) -> None:
    image = read(write_clip(tmp_path / "clip.mp4", frames=2, rotation=rotation))[0].image
    assert image.shape == (320, 240, 3)
    assert image[red][..., 0].mean() > 150


def test_h264_tells_by_what_it_rounded(tmp_path: Path) -> None:
    fine, coarse = (read(write_clip(tmp_path / f"{crf}.mp4", frames=4, crf=crf))[0] for crf in (15, 35))
    assert fine.quantisers is not None
    assert coarse.quantisers is not None
    assert fine.quantisers.shape == (15, 20)
    assert 5 < fine.quantisers.mean() < 22
    assert 28 < coarse.quantisers.mean() < 45
    turned = read(write_clip(tmp_path / "turned.mp4", frames=2, rotation=90))[0].quantisers
    assert turned is not None
    assert turned.shape == (20, 15)


def test_mpeg2_rounds_on_the_same_scale_and_others_say_nothing(tmp_path: Path) -> None:
    means = []
    for codec, options in (("mpeg2video", {"qmin": "4", "qmax": "4"}), ("mpeg2video", {"qmin": "8", "qmax": "8"})):
        path = write_clip(tmp_path / f"{options['qmin']}.mpg", frames=4, codec=codec, options=options)
        quantisers = read(path)[-1].quantisers
        assert quantisers is not None
        means.append(float(quantisers.mean()))
    assert means == pytest.approx([4 + 6 * 3, 4 + 6 * 4], abs=1.5)  # steps of 8 and 16 grey levels
    assert read(write_clip(tmp_path / "vp8.webm", frames=4, codec="libvpx", options={}))[0].quantisers is None


@pytest.mark.parametrize(("codec", "suffix"), [("mjpeg", ".jpg"), ("png", ".png"), ("bmp", ".bmp"), ("tiff", ".tif")])
def test_a_still_is_one_frame(tmp_path: Path, codec: str, suffix: str) -> None:
    if codec == "bmp":
        pytest.importorskip("cv2").imwrite(str(tmp_path / "a.bmp"), np.dstack([np.zeros((100, 200, 2)), _red()]))
    path = tmp_path / f"a{suffix}"
    if codec != "bmp":
        path.write_bytes(picture_bytes(codec))
    (frame,) = read(path)
    assert frame.time_s == 0
    assert frame.image.shape == (100, 200, 3)
    assert frame.image[50, 20].tolist() == pytest.approx([255, 0, 0], abs=3)
    assert probe(str(path), SETTINGS).still


def _red() -> np.ndarray:
    return np.where(np.arange(200) < 100, 255, 0)[None, :, None].repeat(100, axis=0)


def test_a_photo_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    jpeg = picture_bytes()
    entry = struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)  # orientation 6: turn clockwise by 90 degrees
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    image = read(tmp_path / "a.jpg")[0].image
    assert image.shape == (200, 100, 3)
    assert image[:90, :, 0].mean() > 240
    assert image[110:, :, 0].mean() < 10


def test_percent_signs_in_a_picture_name_are_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "x%03d.jpg").write_bytes(picture_bytes())
    assert len(read(tmp_path / "x%03d.jpg")) == 1


def test_8k_is_scaled_down(tmp_path: Path) -> None:
    (frame,) = read(write_clip(tmp_path / "big.mp4", frames=1, size=(7680, 4320)))
    assert frame.image.shape == (2160, 3840, 3)
    assert frame.image[1000, 1000, 0] > 150


def test_one_frame_is_enough(tmp_path: Path) -> None:
    assert len(read(write_clip(tmp_path / "one.mp4", frames=1))) == 1


def test_a_cut_off_file_gives_what_is_left(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", faststart=True).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    frames = read_frames(str(tmp_path / "cut.mp4"), "s", SETTINGS)
    assert 4 < len(list(islice(frames, 5))) < 16
    with pytest.raises(PartialError, match=r"cut\.mp4 was read to 00:01 of 00:02") as caught:
        list(frames)
    assert caught.value.of_s == pytest.approx(2.0)


def test_damaged_packets_are_skipped_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = bytearray(write_clip(tmp_path / "whole.mp4", faststart=True).read_bytes())
    data[len(data) * 12 // 25 : len(data) // 2] = b"\xff" * (len(data) // 2 - len(data) * 12 // 25)
    (tmp_path / "damaged.mp4").write_bytes(data)
    with caplog.at_level(logging.WARNING):
        frames = read(tmp_path / "damaged.mp4")
    assert frames[-1].time_s > 1.5
    assert "damaged" in caplog.text


def _half(path: Path) -> None:
    whole = write_clip(path.with_name("whole.mp4")).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


BAD = {
    "missing": (lambda path: None, "is not there"),
    "folder": (lambda path: path.mkdir(), "is a folder, a pipe"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "garbage": (lambda path: path.write_bytes(np.random.default_rng(0).bytes(100_000)), "damaged, cut off or not"),
    "truncated": (_half, "damaged, cut off or not"),
    "text": (lambda path: path.write_text("no video\n" * 99), "damaged, cut off or not"),
    "jpeg": (lambda path: path.write_bytes(picture_bytes()), r"is a picture \(mjpeg\) with the name of a video"),
    "png": (lambda path: path.write_bytes(picture_bytes("png")), r"is a picture \(png\) with the name of a video"),
    "sound": (write_sound, "has sound but no picture"),
    "no frames": (lambda path: write_clip(path, frames=0), "has no picture"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_say_what_is_wrong_in_one_sentence(tmp_path: Path, kind: str) -> None:
    make, expected = BAD[kind]
    make(tmp_path / "bad.mp4")
    with pytest.raises(VideoError, match=expected) as caught:
        read(tmp_path / "bad.mp4")
    assert not isinstance(caught.value, StreamLostError)
    assert re.fullmatch(r"[^\n]+bad\.mp4[^\n]*\.", str(caught.value))


def test_a_text_file_is_not_drawn_as_video(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no video\n" * 99)
    with pytest.raises(VideoError, match="it is text"):
        read(tmp_path / "notes.txt")


def test_a_playlist_in_disguise_reaches_no_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x.ts"
        (tmp_path / "a.mp4").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}\n#EXT-X-ENDLIST\n")
        with pytest.raises(VideoError):
            read(tmp_path / "a.mp4")
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files through Linux's /proc")
def test_an_abandoned_iterator_closes_its_file(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4")
    frames = read_frames(str(path), "s", SETTINGS)
    next(frames)
    assert str(path) in _open_files()
    frames.close()  # type: ignore[attr-defined]
    assert str(path) not in _open_files()


def _open_files() -> set[str]:
    return {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}


def test_no_picture_outlives_its_turn(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", frames=50, fps=25)
    gc.collect()
    gc.disable()  # it would find them, after minutes
    try:
        frames = [frame.index for frame in read_frames(str(path), "s", SETTINGS)]
        kept = [held for held in gc.get_objects() if isinstance(held, VideoFrame)]
    finally:
        gc.enable()
    assert len(frames) == 16
    assert kept == []
