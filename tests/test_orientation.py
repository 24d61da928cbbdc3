"""Faces that do not stand upright in the decoded picture: the picture is turned, or the face is not scored."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from dfd_core.detector import scan_file
from dfd_core.faces.blazeface import Face
from dfd_core.faces.finder import FaceFinder, turned
from dfd_core.faces.orientation import turned_box
from dfd_core.faces.windows import SegmentBuilder, turned_frame
from dfd_core.judging.scoring import Scorer, load_scorer
from dfd_core.settings import Settings
from dfd_core.types import FaceTrack, Frame, Segment, UInt8Array

SETTINGS = Settings()
QUARTERS = (1, 2, 3)


class CountingFinder(FaceFinder):
    """Counts how often faces are looked for, and how often the mesh looks at one."""

    finds = looks = 0

    def find(self, image: UInt8Array, tiles=None) -> list[Face]:  # type: ignore[no-untyped-def]
        self.finds += 1
        return super().find(image, tiles)

    def presence(self, image: UInt8Array, face: Face, quarter_turns: int = 0) -> float:
        self.looks += 1
        return super().presence(image, face, quarter_turns)


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return load_scorer(SETTINGS)


def segments_of(images: list[UInt8Array], finder: FaceFinder | None = None) -> list[Segment]:
    builder = SegmentBuilder("s", finder or FaceFinder(SETTINGS.faces), SETTINGS.faces, SETTINGS.windows)
    done = [s for n, image in enumerate(images) for s in builder.push(Frame("s", n, n / 8, 0.0, image))]
    return done + builder.flush()


def tracks_of(images: list[UInt8Array]) -> list[FaceTrack]:
    return [track for segment in segments_of(images) for track in segment.tracks]


def shaken(image: UInt8Array, frames: int) -> list[UInt8Array]:
    return [np.roll(image, n % 3, axis=1) for n in range(frames)]


def write_video(path: Path, images: list[UInt8Array]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8, options={"crf": "12", "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = *images[0].shape[:2], "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("quarters", QUARTERS)
def test_a_turned_picture_gives_the_crop_of_the_upright_one(portrait: UInt8Array, quarters: int) -> None:
    ((upright,), (found,)) = (tracks_of([image]) for image in (portrait, turned(portrait, quarters)))
    assert np.array_equal(found.crops, upright.crops)
    assert np.array_equal(found.boxes, upright.boxes)
    assert found.upright


def test_quantisers_turn_with_the_picture() -> None:
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    frame = turned_frame(Frame("s", 0, 0.0, 0.0, image, image[:, :, 0].astype(np.float32)), 1)
    assert frame.quantisers is not None
    assert np.array_equal(frame.quantisers, frame.image[:, :, 0])
    assert np.array_equal(frame.image, np.rot90(image))


@pytest.mark.parametrize("quarters", QUARTERS)
@pytest.mark.parametrize("still", [True, False], ids=["still", "video"])
def test_a_turned_file_scores_as_the_upright_one(
    portrait: UInt8Array, scorer: Scorer, tmp_path: Path, quarters: int, still: bool
) -> None:
    reports = []
    for n in (0, quarters):
        if still:
            path = tmp_path / f"{n}.png"
            cv2.imwrite(str(path), turned(portrait, n)[:, :, ::-1])
        else:
            path = write_video(tmp_path / f"{n}.mp4", [turned(frame, n) for frame in shaken(portrait, 16)])
        reports.append(scan_file(path, SETTINGS, scorer))
    plain, found = reports
    least = 0.02 if still else 0.03  # a turned film is another one to its encoder
    assert found.fake_probability == pytest.approx(plain.fake_probability, abs=least)
    assert (found.state, found.faces, found.windows) == (plain.state, plain.faces, plain.windows)


@pytest.mark.parametrize("degrees", [-30, -15, 15, 30])
def test_a_tilted_head_stays_as_it_is(portrait: UInt8Array, degrees: int) -> None:
    height, width = portrait.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    tilted = cv2.warpAffine(portrait, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    (track,) = tracks_of([np.asarray(tilted, np.uint8)])
    assert track.upright
    (before,) = FaceFinder(SETTINGS.faces).find(np.asarray(tilted, np.uint8))
    assert np.array_equal(track.boxes[0], before.box)


def test_a_face_that_stands_otherwise_than_the_others_is_not_scored(portrait: UInt8Array, scorer: Scorer) -> None:
    both = np.concatenate([portrait[:512], turned(portrait[:512], 1)], axis=1)
    upright, lying = sorted(tracks_of(shaken(both, 8)), key=lambda track: float(track.boxes[0, 0]))
    assert (upright.upright, lying.upright) == (True, False)
    (result,) = (r for r, _ in scorer.score([segments_of(shaken(both, 8))]))
    reasons = {score.track: score.reason for score in result.scores}
    assert reasons == {upright.id: None, lying.id: "the face is not upright"}


@pytest.mark.parametrize("quarters", QUARTERS)
def test_each_face_of_a_still_is_looked_at_the_right_way_up(portrait: UInt8Array, quarters: int) -> None:
    square = np.ascontiguousarray(portrait[:512])
    ((alone,), found) = (tracks_of([p]) for p in (square, np.concatenate([square, turned(square, quarters)], axis=1)))
    assert len(found) == 2
    assert all(track.upright for track in found)
    assert len({track.id for track in found}) == 2
    widths = [float(track.boxes[0, 2] - track.boxes[0, 0]) for track in (alone, *found)]
    assert widths[1:] == pytest.approx([widths[0]] * 2, rel=0.1)
    eyes = [track.landmarks[0, :2] for track in found]  # the right one is left of the left one, at the same height
    assert all(left[0] - right[0] > 4 * abs(left[1] - right[1]) for right, left in eyes)


def test_a_still_of_a_turned_group_has_each_face_once(portrait: UInt8Array) -> None:
    square = np.ascontiguousarray(portrait[:512])
    group = np.concatenate([turned(square, 2)] * 3 + [square], axis=1)
    tracks = tracks_of([group])
    assert [track.upright for track in tracks] == [True] * 4


def test_boxes_turn_with_their_picture() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[5:15, 20:50] = 255
    for quarters in range(5):
        x0, y0, x1, y1 = turned_box(np.array([20, 5, 50, 15], np.float32), quarters, image).astype(int)
        assert turned(image, quarters)[y0:y1, x0:x1].min() == 255


def test_an_upright_video_pays_for_one_look_of_the_mesh_a_segment(portrait: UInt8Array) -> None:
    finder = CountingFinder(SETTINGS.faces)
    segments = segments_of(shaken(portrait, 32), finder)
    assert (len(segments), finder.finds, finder.looks) == (4, 32, 4)


def test_a_video_without_faces_is_seldom_turned_over() -> None:
    finder = CountingFinder(SETTINGS.faces)
    segments_of([np.full((120, 160, 3), 90, np.uint8)] * 8 * 32, finder)
    assert finder.finds - 8 * 32 <= 3 * 7  # of 32 segments, looks at 0, 2, 5, 10, 19, 28


def test_a_phone_that_is_turned_in_mid_video_turns_the_video_once(portrait: UInt8Array) -> None:
    square = np.ascontiguousarray(portrait[:512])
    segments = segments_of(shaken(square, 16) + shaken(turned(square, 1), 16) + shaken(turned(square, 1), 8))
    assert [segment.follows for segment in segments] == [False, True, False, True, True]
    tracks = [segment.tracks[0] for segment in segments]
    assert all(track.upright for track in tracks)
    assert len({track.id for track in tracks[2:]}) == 1
    assert np.array_equal(tracks[2].crops.shape, tracks[0].crops.shape)


def test_a_ceiling_camera_accuses_nobody(scorer: Scorer) -> None:
    path = Path(__file__).parents[2] / "shared" / "faults" / "upside-down.mp4"
    if not path.exists():
        pytest.skip(f"needs {path.name}, which is not part of dfd")
    report = scan_file(path, SETTINGS, scorer)
    assert report.state == "authentic"
    assert report.reason is None
