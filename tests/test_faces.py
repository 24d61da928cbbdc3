"""Faces of the public-domain portrait that matplotlib ships: found, meshed, followed and cut out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from dfd_core.errors import ModelError
from dfd_core.faces import blazeface
from dfd_core.faces.blazeface import Face, face_model
from dfd_core.faces.blending import blend_with, draw_alteration, self_blend
from dfd_core.faces.finder import FaceFinder, FaceTracker, crop, crop_origin, crop_side
from dfd_core.faces.mesh import FaceMesh
from dfd_core.settings import FaceSettings
from dfd_core.types import UInt8Array

SETTINGS = FaceSettings()


@pytest.fixture(scope="module")
def portrait() -> UInt8Array:
    matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


@pytest.fixture(scope="module")
def face(portrait: UInt8Array) -> Face:
    (found,) = FaceFinder(SETTINGS).find(portrait)
    return found


def test_the_face_is_where_it_is(portrait: UInt8Array, face: Face) -> None:
    right_eye, left_eye, nose, mouth = face.landmarks[:4]
    assert 120 < face.width < 260
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_eye[1] < nose[1] < mouth[1]
    assert face.confidence > 0.7


def test_every_face_is_found_widest_first_and_narrow_ones_are_not(portrait: UInt8Array, face: Face) -> None:
    half = cv2.resize(portrait, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    board = np.full((portrait.shape[0], portrait.shape[1] + half.shape[1], 3), 127, np.uint8)
    board[: half.shape[0], : half.shape[1]] = half
    board[:, half.shape[1] :] = portrait
    both = FaceFinder(SETTINGS).find(board)
    assert len(both) == 2
    assert both[0].width == pytest.approx(2 * both[1].width, rel=0.2)
    assert len(FaceFinder(FaceSettings(min_width_px=round(both[1].width) + 20)).find(board)) == 1
    assert len(FaceFinder(FaceSettings(max_faces=1)).find(board)) == 1


def test_a_picture_without_a_face_has_none() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (360, 640, 3), dtype=np.uint8)
    assert FaceFinder(SETTINGS).find(noise) == []


def test_the_mesh_covers_the_face(portrait: UInt8Array, face: Face) -> None:
    points = FaceMesh().landmarks(portrait, face)
    assert points is not None
    assert points.shape == (468, 2)
    eyes = (points[[33, 133]].mean(axis=0), points[[362, 263]].mean(axis=0))
    for found, expected in zip(eyes, face.landmarks[:2], strict=True):
        assert np.linalg.norm(found - expected) < 0.1 * face.width


def test_a_crop_is_pixel_for_pixel_up_to_the_cap(portrait: UInt8Array, face: Face) -> None:
    side = crop_side(face.box, SETTINGS)
    left, top = crop_origin(face.box, side)
    assert np.array_equal(crop(portrait, face.box, side, side), portrait[top : top + side, left : left + side])
    assert crop(portrait, face.box, side, 128).shape == (128, 128, 3)


@pytest.mark.parametrize("box", [(-40, -40, 30, 30), (500, 590, 560, 660), (-300, 10, -200, 90), (0, 0, 900, 900)])
def test_a_crop_outside_the_picture_keeps_its_shape(portrait: UInt8Array, box: tuple[int, ...]) -> None:
    for cap in (64, 2000):
        edges = np.array(box, np.float32)
        side = crop_side(edges, SETTINGS)
        assert crop(portrait, edges, side, cap).shape == (min(side, cap), min(side, cap), 3)


def _face_at(x: float, y: float) -> Face:
    return Face(np.array([x, y, x + 100, y + 100], np.float32), np.zeros((6, 2), np.float32), 0.9)


def _ids(tracker: FaceTracker, time_s: float, *faces: Face) -> list[int]:
    return [track for track, _ in tracker.update(faces, time_s)]


def test_tracks_keep_their_ids_while_faces_move_and_lose_them_after_a_pause() -> None:
    tracker = FaceTracker()
    first = _ids(tracker, 0.0, _face_at(0, 0), _face_at(300, 0))
    assert _ids(tracker, 0.125, _face_at(310, 5), _face_at(12, 3)) == first[::-1]
    assert _ids(tracker, 0.5, _face_at(14, 3)) == first[:1]
    later = _ids(tracker, 3.0, _face_at(310, 5))
    assert later[0] not in first
    tracker.reset()
    assert not set(_ids(tracker, 3.1, _face_at(310, 5))) & {*first, *later}


def test_self_blending_changes_the_face_and_only_it(portrait: UInt8Array, face: Face) -> None:
    points = FaceMesh().landmarks(portrait, face)
    assert points is not None
    rng = np.random.default_rng(3)
    inside = np.zeros(portrait.shape[:2], bool)
    x0, y0, x1, y1 = np.rint(face.box).astype(int)
    inside[y0:y1, x0:x1] = True
    for _ in range(8):
        alteration = draw_alteration(rng)
        fake, mask = blend_with(portrait, points, alteration)
        assert mask.min() >= 0
        assert mask.max() == pytest.approx(1, abs=0.05)
        assert mask[inside].sum() > 0.9 * mask.sum()
        if alteration.altered_is_source:
            untouched = mask == 0
            assert np.array_equal(fake[untouched], portrait[untouched])
    again = [self_blend(portrait, points, np.random.default_rng(5))[0] for _ in range(2)]
    assert np.array_equal(*again)
    assert np.abs(again[0].astype(int) - portrait).max() > 8


def test_a_changed_face_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = face_model("face_landmark.tflite").parent
    folder = tmp_path / "files" / "face"
    folder.mkdir(parents=True)
    (folder / "card.json").write_bytes((real / "card.json").read_bytes())
    (folder / "face_landmark.tflite").write_bytes(b"something else")
    monkeypatch.setattr(blazeface.resources, "files", lambda _: tmp_path)
    with pytest.raises(ModelError, match="not the one that its card names"):
        face_model("face_landmark.tflite")
    with pytest.raises(ModelError, match="missing"):
        face_model("face_detection_full_range.tflite")
