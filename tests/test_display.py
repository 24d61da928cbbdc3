"""Faults of section A, how a picture is to be shown: each property against the same picture without it."""

import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from dfd_core.media import read_frames
from dfd_core.media.compression import quantisers_of
from dfd_core.media.tonemap import to_bt709
from dfd_core.settings import VideoSettings
from dfd_core.types import Frame
from tests.heif import write_grid, write_single
from tests.pictures import MATRICES, as_shown, four_corners, portrait, write_film, write_hdr

SETTINGS = VideoSettings()
EVERY = pytest.mark.parametrize("orientation", sorted(MATRICES))


def first(path: Path, settings: VideoSettings = SETTINGS) -> Frame:
    return next(read_frames(str(path), "s", settings))


def difference(image: np.ndarray, expected: np.ndarray) -> float:
    assert image.shape == expected.shape
    return float(np.abs(image.astype(int) - expected).mean())


@EVERY
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_videos_are_turned_and_mirrored(tmp_path: Path, orientation: int, suffix: str) -> None:
    image = four_corners()
    frame = first(write_film(tmp_path / f"a{suffix}", [image] * 3, orientation=orientation))
    assert difference(frame.image, as_shown(image, orientation)) < 3
    assert frame.image.flags.c_contiguous


@EVERY
def test_quantisers_go_with_the_picture(tmp_path: Path, orientation: int) -> None:
    image = four_corners()
    image[:40, :60] = np.random.default_rng(0).integers(0, 255, (40, 60, 3))
    frames = [first(write_film(tmp_path / f"{o}.mp4", [image] * 3, orientation=o)) for o in (1, orientation)]
    stored, turned = (frame.quantisers for frame in frames)
    assert stored is not None
    assert turned is not None
    assert np.ptp(stored) > 0
    assert np.array_equal(turned, as_shown(stored.astype(np.uint8), orientation))


def test_quantisers_are_those_of_each_block(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (90, 150, 3), dtype=np.uint8)
    noise[:50] = 90
    path = write_film(tmp_path / "a.mp4", [np.roll(noise, 3 * n, axis=1) for n in range(10)])
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.options = {"export_side_data": "venc_params"}
        container.streams.video[0].thread_type = "SLICE"
        for picture in container.decode(video=0):
            wanted = picture.side_data["VIDEO_ENC_PARAMS"].qp_map()
            assert np.ptp(wanted) > 0
            assert np.array_equal(quantisers_of(picture), wanted)


def test_quantisers_are_the_same_at_each_run(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 90, (144, 176, 3), dtype=np.uint8)
    path = write_film(tmp_path / "a.mp4", [np.roll(noise, 3 * n, axis=1) for n in range(100)])
    every = replace(SETTINGS, sample_fps=25.0)
    runs = [[frame.quantisers for frame in read_frames(str(path), "s", every)] for _ in range(4)]
    assert all(np.array_equal(run, runs[0]) for run in runs)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_what_h264_says_itself_counts_where_the_container_is_silent(tmp_path: Path, orientation: int) -> None:
    turns = {2: "0", 3: "180", 4: "180", 5: "90", 6: "270", 7: "270", 8: "90"}[orientation]
    flip = ":flip=horizontal" if orientation in (2, 4, 5, 7) else ""
    image, plain = four_corners(), tmp_path / "plain.mp4"
    write_film(plain, [image] * 30)
    with av.open(str(plain)) as source, av.open(str(tmp_path / "sei.ts"), "w") as sink:
        copy = sink.add_stream_from_template(source.streams.video[0])
        says = av.BitStreamFilterContext(
            f"h264_mp4toannexb,h264_metadata=display_orientation=insert:rotate={turns}{flip}", source.streams.video[0]
        )
        for packet in source.demux(video=0):
            for changed in says.filter(packet if packet.size else None):
                changed.stream = copy
                sink.mux(changed)
    matrix = next(av.open(str(tmp_path / "sei.ts")).decode(video=0)).side_data.get("DISPLAYMATRIX")
    assert matrix is not None
    a, b, _, c, d = struct.unpack("5i", bytes(matrix)[:20])
    says_so = next(o for o, m in MATRICES.items() if m == tuple(np.sign([a, b, c, d]).tolist()))
    assert difference(first(tmp_path / "sei.ts").image, as_shown(image, says_so)) < 3


STILLS = {
    "jpg": ("JPEG", {"quality": 95}, 4.0),
    "png": ("PNG", {}, 0.0),
    "webp": ("WEBP", {"lossless": True}, 0.0),
    "tif": ("TIFF", {}, 0.0),
    "avif": ("AVIF", {"quality": 95}, 4.0),
}


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
@pytest.mark.parametrize("pages", [1, 2])
def test_tiff_of_each_compression(tmp_path: Path, compression: str, pages: int) -> None:
    more = [Image.new("RGB", (160, 96))] * (pages - 1)
    quality = {"quality": 95} if compression == "jpeg" else {}
    Image.fromarray(four_corners()).save(
        tmp_path / "a.tif", compression=compression, save_all=True, append_images=more, **quality
    )
    (shown,) = read_frames(str(tmp_path / "a.tif"), "s", SETTINGS)
    assert difference(shown.image, four_corners()) < 3


@EVERY
@pytest.mark.parametrize("suffix", STILLS)
def test_pictures_are_turned_and_mirrored(tmp_path: Path, orientation: int, suffix: str) -> None:
    kind, options, most = STILLS[suffix]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(four_corners()).save(tmp_path / f"a.{suffix}", kind, exif=exif, **options)
    assert difference(first(tmp_path / f"a.{suffix}").image, as_shown(four_corners(), orientation)) <= most


@EVERY
@pytest.mark.parametrize("suffix", [".avif", ".heic"])
def test_tiles_are_put_together(tmp_path: Path, orientation: int, suffix: str) -> None:
    image = four_corners(256, 128)
    path = write_grid(tmp_path / f"a{suffix}", image, 2, 1, orientation)
    assert difference(first(path).image, as_shown(image, orientation)) < 2


@pytest.mark.parametrize("suffix", [".avif", ".heic"])
def test_many_tiles_are_put_together(tmp_path: Path, suffix: str) -> None:
    image = cv2.resize(portrait(), (512, 384))
    assert difference(first(write_grid(tmp_path / f"a{suffix}", image, 4, 3)).image, image) < 4


@EVERY
@pytest.mark.parametrize("suffix", [".avif", ".heic"])
@pytest.mark.parametrize("exif", [None, 1, 6])
def test_single_pictures_are_turned_as_the_container_says_whatever_exif_says(
    tmp_path: Path, orientation: int, suffix: str, exif: int | None
) -> None:
    path = write_single(tmp_path / f"a{suffix}", four_corners(), orientation, exif)
    assert difference(first(path).image, as_shown(four_corners(), orientation)) < 2


@EVERY
@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_moving_pictures_are_turned_and_mirrored(tmp_path: Path, orientation: int, suffix: str) -> None:
    pictures = [Image.fromarray(np.roll(four_corners(), n, axis=1)) for n in range(3)]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    more = {"lossless": True} if suffix == "webp" else {}
    pictures[0].save(
        tmp_path / f"a.{suffix}", save_all=True, append_images=pictures[1:], duration=100, exif=exif, **more
    )
    assert difference(first(tmp_path / f"a.{suffix}").image, as_shown(four_corners(), orientation)) == 0


SHAPES = {(1, 2): (192, 160), (2, 1): (96, 320), (4, 3): (96, 213), (8, 9): (108, 160), (1, 1): (96, 160)}


@pytest.mark.parametrize("pixel", SHAPES)
@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "libx264"), (".mkv", "libx264"), (".avi", "mpeg4")])
def test_pixels_are_made_square(tmp_path: Path, pixel: tuple[int, int], suffix: str, codec: str) -> None:
    image = four_corners()
    shown = first(write_film(tmp_path / f"a{suffix}", [image] * 3, codec=codec, pixel=Fraction(*pixel))).image
    height, width = SHAPES[pixel]
    assert difference(shown, cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)) < 4


def test_square_pixels_are_not_more_than_asked_for(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", [four_corners(640, 320)] * 3, pixel=Fraction(1, 2))
    height, width = first(path, replace(SETTINGS, max_pixels=40_000)).image.shape[:2]
    assert 30_000 < height * width <= 40_000
    assert height == pytest.approx(width, abs=2)


def test_turned_tall_pixels_are_square_before_they_are_turned(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", [four_corners()] * 3, pixel=Fraction(1, 2), orientation=6)
    expected = as_shown(cv2.resize(four_corners(), (160, 192), interpolation=cv2.INTER_CUBIC), 6)
    assert difference(first(path).image, expected) < 4


@pytest.mark.parametrize("curve", [16, 18], ids=["PQ", "HLG"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_hdr_looks_as_the_same_scene_in_sdr(tmp_path: Path, curve: int, suffix: str) -> None:
    image = portrait()
    shown = first(write_hdr(tmp_path / f"hdr{suffix}", image, curve)).image
    sdr = first(write_film(tmp_path / "sdr.mp4", [image] * 3, options={"crf": "8"})).image
    assert difference(shown, sdr) < 4
    dark = sdr.max(axis=2) < 190  # what is darker than the knee keeps its light
    assert np.abs(shown[dark].astype(int) - sdr[dark]).mean() < 3


def test_hlg_by_luminance_is_not_far_off(tmp_path: Path) -> None:
    image = portrait()
    shown = first(write_hdr(tmp_path / "hdr.mp4", image, 18, by_luminance=True)).image
    assert difference(shown, image) < 8  # 25 without a mapping


@pytest.mark.parametrize("curve", [16, 18], ids=["PQ", "HLG"])
@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
def test_hdr_of_which_only_the_container_tells(tmp_path: Path, curve: int, suffix: str) -> None:
    plain = write_hdr(tmp_path / "plain.mp4", portrait(), curve)
    nothing = "hevc_metadata=colour_primaries=2:transfer_characteristics=2:matrix_coefficients=2"
    with av.open(str(plain)) as source, av.open(str(tmp_path / f"a{suffix}"), "w") as sink:
        copy = sink.add_stream_from_template(source.streams.video[0])
        silent = av.BitStreamFilterContext(nothing, source.streams.video[0], copy)
        for packet in source.demux(video=0):
            for changed in silent.filter(packet if packet.size else None):
                changed.stream = copy
                sink.mux(changed)
    with av.open(str(tmp_path / f"a{suffix}")) as container:
        assert int(next(container.decode(video=0)).colorspace) == 2  # the picture itself says nothing
    assert difference(first(tmp_path / f"a{suffix}").image, first(plain).image) < 1


@pytest.mark.parametrize("curve", [16, 18], ids=["PQ", "HLG"])
def test_brighter_light_is_never_darker(tmp_path: Path, curve: int) -> None:
    ramp = np.repeat(np.linspace(0, 255, 256).astype(np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    shown = first(write_hdr(tmp_path / "ramp.mp4", ramp, curve)).image.mean(axis=(0, 2))
    assert np.all(np.diff(cv2.blur(shown[None], (5, 1))[0]) > -0.5)
    assert shown[-1] > 235


def test_tiles_in_hdr_are_mapped_too(tmp_path: Path) -> None:
    image = four_corners(256, 128)
    plain, hdr = (first(write_grid(tmp_path / f"{c}.avif", image, 2, 1, curve=c)).image for c in (0, 16))
    mapped = to_bt709(plain.reshape(-1, 3) / 255.0, 16).reshape(plain.shape) * 255
    assert np.abs(hdr - mapped).mean() < 3
    assert difference(hdr, plain) > 10


def test_ten_bits_without_hdr_keep_their_colours(tmp_path: Path) -> None:
    image = portrait()
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "yuv420p10le"
        stream.options = {"crf": "8"}
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    assert difference(first(tmp_path / "a.mp4").image, image) < 4


@pytest.mark.parametrize("kind", ["mirrored", "tall pixels", "HLG"])
def test_what_is_encoded_again_is_shown_alike(tmp_path: Path, kind: str) -> None:
    reencode = pytest.importorskip("trainer.measuring.reencode")
    path, image = tmp_path / "a.mp4", four_corners()
    if kind == "HLG":
        write_hdr(path, portrait(), 18)
    else:
        write_film(
            path, [image] * 3, orientation=5 if kind == "mirrored" else 1, pixel=Fraction(1, 1 + (kind != "mirrored"))
        )
    again = reencode.reencode(path, tmp_path / "again.mp4", reencode.Reencoding(crf=12), 9.0, SETTINGS)
    assert difference(first(again).image, first(path).image) < 3
