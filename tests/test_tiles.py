"""Small faces in large pictures: found in tiles, at a bounded cost; what the whole picture shows stays as it was."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from dfd_core.faces.blazeface import Face
from dfd_core.faces.finder import FaceFinder, FaceSearch
from dfd_core.faces.tiles import TILE_PX, TILED_FROM_PX, Tile, is_cut, tiles_of
from dfd_core.settings import FaceSettings
from dfd_core.types import UInt8Array

SETTINGS = FaceSettings()
SIZES = [(1280, 720), (1920, 1080), (3840, 2160), (1080, 1920), (2500, 300), (4000, 2000)]


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder(SETTINGS)


def room(size: tuple[int, int], seed: int = 0) -> UInt8Array:
    """A wall of soft colours with a little noise."""
    rng = np.random.default_rng(seed)
    wall = cv2.resize(rng.integers(60, 160, (4, 6, 3), dtype=np.uint8), size, interpolation=cv2.INTER_CUBIC)
    return np.clip(wall + rng.normal(0, 4, (size[1], size[0], 1)), 0, 255).astype(np.uint8)


def hang(image: UInt8Array, portrait: UInt8Array, face_px: int, x: int, y: int) -> None:
    """Put the portrait, whose face is `face_px` wide then (209 px of 512), into `image`."""
    scale = face_px / 209
    small = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    image[y : y + small.shape[0], x : x + small.shape[1]] = small


@pytest.mark.parametrize("size", SIZES[:4], ids=str)
@pytest.mark.parametrize("face_px", [56, 80, 120])
def test_small_faces_are_found_wherever_they_are(
    portrait: UInt8Array, finder: FaceFinder, size: tuple[int, int], face_px: int
) -> None:
    image, width, height = room(size), round(512 * face_px / 209), round(600 * face_px / 209)
    across, down = size[0] - width, size[1] - height
    places = [(0, 0), (across, 0), (across // 2, down // 2), (across // 3, down), (across, down)]
    for x, y in places:
        hang(image, portrait, face_px, x, y)
    faces = finder.find(image)
    assert len(faces) == len(places)
    assert [face.width for face in faces] == pytest.approx([face_px] * len(places), rel=0.15)


def test_what_the_whole_picture_shows_is_as_it_was(portrait: UInt8Array, finder: FaceFinder) -> None:
    """The boxes of dfd before it looked in tiles: the shipped network was trained on crops around such."""
    image = np.full((720, 1280, 3), (90, 100, 110), np.uint8)
    image[60:660, 200:712] = portrait
    image[360:660, 900:1156] = cv2.resize(portrait, (256, 300), interpolation=cv2.INTER_AREA)
    face = finder.find(image)[0]
    assert face.box == pytest.approx([359.734, 184.738, 564.287, 389.283], abs=0.01)
    (alone,) = finder.find(image, [])
    assert np.array_equal(alone.box, face.box)
    assert len(finder.find(image)) == 2


def test_a_false_find_that_fills_the_picture_hides_no_small_face(portrait: UInt8Array) -> None:
    class Mistaken(FaceFinder):
        def _in_whole(self, image: UInt8Array) -> list[Face]:
            return [Face(np.array([300, 100, 1500, 1000], np.float32), np.zeros((6, 2), np.float32), 0.6)]

    image = room((1920, 1080))
    hang(image, portrait, 60, 900, 500)
    assert [round(face.width, -1) for face in Mistaken(SETTINGS).find(image)] == [1200, 60]


def test_a_picture_that_is_small_enough_has_no_tiles() -> None:
    assert tiles_of(np.zeros((600, TILED_FROM_PX, 3), np.uint8)) == []


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_tiles_cover_the_picture_and_each_small_face_is_whole_in_one(size: tuple[int, int]) -> None:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    tiles = tiles_of(image)
    assert all(x1 - x0 <= TILE_PX and y1 - y0 <= TILE_PX for x0, y0, x1, y1 in tiles)
    side = 0.9 * max(size) / 16
    for x in np.linspace(0, size[0] - side, 60):
        for y in np.linspace(0, size[1] - side, 60):
            box = np.array([x, y, x + side, y + side], np.float32)
            assert any(_holds(tile, box) and not is_cut(box, tile, image) for tile in tiles)


def _holds(tile: Tile, box: np.ndarray) -> bool:
    return bool((box[:2] >= tile[:2]).all() and (box[2:] <= tile[2:]).all())


class CountingFinder(FaceFinder):
    """Counts the tiles that were looked at."""

    tiles = 0

    def find(self, image: UInt8Array, tiles=None) -> list[Face]:  # type: ignore[no-untyped-def]
        self.tiles += len(tiles_of(image) if tiles is None else tiles)
        return super().find(image, tiles)


def test_a_video_is_looked_at_in_tiles_now_and_then(portrait: UInt8Array) -> None:
    finder = CountingFinder(SETTINGS)
    search, image = FaceSearch(finder), room((1280, 720))
    image[60:660, 400:912] = portrait
    counts = [len(search.find(image, n == 0)) for n in range(48)]
    assert counts == [1] * 48
    assert finder.tiles == 2 * len(tiles_of(image))


def test_a_small_face_in_a_video_is_followed_by_the_tile_that_holds_it(portrait: UInt8Array) -> None:
    finder = CountingFinder(SETTINGS)
    search = FaceSearch(finder)
    for n in range(16):
        image = room((1920, 1080), seed=n)
        hang(image, portrait, 60, 300 + 2 * n, 200)
        (face,) = search.find(image, n == 0)
        assert face.width == pytest.approx(60, rel=0.1)
    assert finder.tiles == len(tiles_of(image)) + 15


def test_things_that_are_no_faces_stay_none(finder: FaceFinder) -> None:
    rng = np.random.default_rng(7)
    for n in range(4):
        image = room((1920, 1080), seed=n)
        for _ in range(60):  # eyes, wheels, buttons: dark discs in pairs on light ones
            x, y, r = int(rng.integers(40, 1880)), int(rng.integers(40, 1040)), int(rng.integers(12, 40))
            cv2.circle(image, (x, y), r, (220, 190, 170), -1)
            for side in (-1, 1):
                cv2.circle(image, (x + side * r // 3, y - r // 4), max(2, r // 8), (30, 20, 20), -1)
        assert finder.find(image) == []
