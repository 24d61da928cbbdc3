"""Frames become segments and windows; gaps and cuts part them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfd_core.faces.blazeface import Face
from dfd_core.faces.finder import FaceFinder
from dfd_core.faces.tiles import Tile
from dfd_core.faces.windows import SegmentBuilder, WindowSlider, colour_histogram
from dfd_core.settings import FaceSettings, WindowSettings
from dfd_core.types import Frame, Segment, UInt8Array


class OneFace(FaceFinder):
    """Finds one face where the picture's red corner pixel says so: what is tested here is not the detector."""

    def __init__(self) -> None:
        pass

    def presence(self, image: UInt8Array, face: Face, quarter_turns: int = 0) -> float:
        return 40.0 if quarter_turns == 0 else 0.0

    def find(self, image: UInt8Array, tiles: Sequence[Tile] | None = None) -> list[Face]:
        x = float(image[0, 0, 0])
        if x == 0:
            return []
        box = np.array([x, 40, x + 60, 100], np.float32)
        return [Face(box, np.full((6, 2), x, np.float32), 0.9)]


def picture(x: int = 50, light: int = 120, seed: int = 0) -> UInt8Array:
    image = np.random.default_rng(seed).integers(0, 40, (180, 320, 3)).astype(np.uint8) + np.uint8(light)
    image[0, 0, 0] = x
    return image


def frame(n: int, image: UInt8Array, time_s: float | None = None) -> Frame:
    return Frame("s", n, n / 8 if time_s is None else time_s, 1000.0 + n, image)


@pytest.fixture
def builder() -> SegmentBuilder:
    return SegmentBuilder("s", OneFace(), FaceSettings(), WindowSettings(frames=8, stride=4))


def build(builder: SegmentBuilder, frames: list[Frame]) -> list[Segment]:
    done = [segment for f in frames for segment in builder.push(f)]
    return done + builder.flush()


def test_every_frame_is_in_exactly_one_segment(builder: SegmentBuilder) -> None:
    segments = build(builder, [frame(n, picture(seed=n)) for n in range(10)])
    assert [len(s.times_s) for s in segments] == [4, 4, 2]
    assert [s.seq for s in segments] == [0, 1, 2]
    assert [s.follows for s in segments] == [False, True, True]
    assert np.concatenate([s.times_s for s in segments]).tolist() == [n / 8 for n in range(10)]
    assert segments[0].captured_at_s == 1003.0


def test_a_face_carries_the_quantiser_of_its_blocks(builder: SegmentBuilder) -> None:
    quantisers = np.full((12, 20), 40, np.float32)  # blocks of 15 and 16 px
    quantisers[2:7, 3:7] = 20
    told = replace(frame(0, picture()), quantisers=quantisers)
    (track,) = build(builder, [told, frame(1, picture())])[0].tracks
    assert track.quantisers is not None
    assert track.quantisers[0] == 20
    assert np.isnan(track.quantisers[1])


def test_crops_are_native_pixels_centred_on_the_box(builder: SegmentBuilder) -> None:
    image = picture()
    (track,) = build(builder, [frame(0, image), frame(1, image)])[0].tracks
    assert track.side == track.crops.shape[1] == 96  # 60 px, times 1.6
    assert np.array_equal(track.crops[0], image[22:118, 32:128])


def test_absent_faces_are_nan_rows_and_black_crops(builder: SegmentBuilder) -> None:
    (segment,) = build(builder, [frame(n, picture(x=x)) for n, x in enumerate((50, 0, 52, 54))])
    (track,) = segment.tracks
    assert track.present.tolist() == [True, False, True, True]
    assert np.isnan(track.landmarks[1]).all()
    assert not track.crops[1].any()


def test_a_gap_ends_the_segment_and_the_track(builder: SegmentBuilder) -> None:
    frames = [
        frame(0, picture()),
        frame(1, picture()),
        frame(2, picture(), time_s=5.0),
        frame(3, picture(), time_s=5.1),
    ]
    first, second = build(builder, frames)
    assert [len(first.times_s), len(second.times_s)] == [2, 2]
    assert not second.follows
    assert first.tracks[0].id != second.tracks[0].id


def test_time_that_runs_back_is_a_gap(builder: SegmentBuilder) -> None:
    first, second = build(builder, [frame(0, picture(), time_s=9.0), frame(1, picture(), time_s=0.0)])
    assert not second.follows
    assert (first.seq, second.seq) == (0, 1)


def test_a_cut_ends_the_segment(builder: SegmentBuilder) -> None:
    first, second = build(builder, [frame(0, picture(light=60)), frame(1, picture(light=200))])
    assert not second.follows
    assert len(first.times_s) == 1


def test_a_little_more_light_is_no_cut(builder: SegmentBuilder) -> None:
    (only,) = build(builder, [frame(n, picture(light=120 + 3 * n, seed=n)) for n in range(4)])
    assert len(only.times_s) == 4


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 2000, 3), (720, 1280, 3)])
def test_histogram_of_any_size_sums_to_one(shape: tuple[int, int, int]) -> None:
    histogram = colour_histogram(np.full(shape, 99, np.uint8))
    assert histogram.shape == (8, 8, 8)
    assert histogram.sum() == pytest.approx(1.0, abs=1e-5)


def test_windows_share_segments_and_never_reach_across_a_gap(builder: SegmentBuilder) -> None:
    slider = WindowSlider(WindowSettings(frames=8, stride=4))
    times = [n / 8 for n in range(12)] + [10 + n / 8 for n in range(8)]
    segments = build(builder, [frame(n, picture(seed=n), time_s=t) for n, t in enumerate(times)])
    windows = [slider.push(segment) for segment in segments]
    assert [[s.seq for s in w.segments] for w in windows] == [[0], [0, 1], [1, 2], [3], [3, 4]]
    assert windows[2].start_s == 0.5


class Counting(OneFace):
    looks = 0

    def find(self, image: UInt8Array, tiles: Sequence[Tile] | None = None) -> list[Face]:
        self.looks += 1
        return super().find(image, tiles)


def test_at_every_second_frame_the_faces_between_are_placed_by_their_neighbours() -> None:
    finder, places = Counting(), [50, 90, 60, 0, 64, 0, 0, 70, 66]  # what is seen at odd ones does not matter
    builder = SegmentBuilder("s", finder, FaceSettings(every=2), WindowSettings(frames=8, stride=4))
    segments = build(builder, [frame(n, picture(x)) for n, x in enumerate(places)])
    assert np.concatenate([s.times_s for s in segments]).tolist() == [n / 8 for n in range(len(places))]
    assert finder.looks == 5
    (first,), (second,), (last,) = (segment.tracks for segment in segments)
    assert first.boxes[:, 0].tolist() == [50, 55, 60, 62]
    assert [x if np.isfinite(x) else None for x in second.boxes[:, 0].tolist()] == [64, None, None, None]
    assert last.boxes[:, 0].tolist() == [66]
    assert first.id == second.id == last.id


def test_a_frame_that_waits_is_looked_at_where_none_follows() -> None:
    builder = SegmentBuilder("s", OneFace(), FaceSettings(every=2), WindowSettings(frames=8, stride=4))
    segments = build(builder, [frame(0, picture(50)), frame(1, picture(52)), frame(2, picture(54), 9.0)])
    assert [s.tracks[0].boxes[:, 0].tolist() for s in segments] == [[50, 52], [54]]


PAUSES = st.lists(st.tuples(st.integers(2, 20), st.integers(0, 160)), min_size=1, max_size=6)


@settings(max_examples=40)
@given(PAUSES)
def test_who_is_still_there_after_pictures_were_left_out_is_the_same(pauses: list[tuple[int, int]]) -> None:
    """Each pair: how many frames are looked at, and how many then are not; pictures come eight times a second."""
    builder, looked_at, n = SegmentBuilder("s", OneFace(), FaceSettings(), WindowSettings(frames=8, stride=4)), [], 0
    for looks, skipped in pauses:
        looked_at += range(n, n + looks)
        n += looks + skipped
    image = picture(50)
    segments = build(builder, [frame(n, image) for n in looked_at])
    assert {track.id for segment in segments for track in segment.tracks} == {0}
    steps = [np.diff(segment.times_s) for segment in segments]
    assert all((step <= 1.0).all() for step in steps)  # but no segment, and no window, reaches across a gap
    gaps = sum(skipped * 0.125 > 0.875 for _, skipped in pauses[:-1])
    assert sum(not segment.follows for segment in segments) == 1 + gaps


@pytest.mark.parametrize(
    ("times", "places", "lights"),
    [
        ([0.0, 20.0], [50, 50], [120, 120]),
        ([0.0, 20.0], [50, 200], [120, 120]),
        ([0.0, 20.0], [50, 50], [60, 200]),
        ([0.0, 61.0], [50, 50], [120, 120]),
        ([20.0, 0.0], [50, 50], [120, 120]),
    ],
    ids=["none came", "elsewhere", "another scene", "long ago", "time ran back"],
)
def test_all_others_after_a_gap_are_new(
    builder: SegmentBuilder, times: list[float], places: list[int], lights: list[int], request: pytest.FixtureRequest
) -> None:
    came = 1 if "none came" in request.node.callspec.id else 500
    numbers = [0, came]
    first, second = build(
        builder, [frame(n, picture(x, light), t) for n, t, x, light in zip(numbers, times, places, lights, strict=True)]
    )
    assert first.tracks[0].id != second.tracks[0].id
