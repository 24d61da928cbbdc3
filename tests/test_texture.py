"""The check texture: what it measures, how it is fitted, and that it serves as it was fitted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfd_core.checks.steady import movements
from dfd_core.checks.texture import Texture
from dfd_core.checks.views import LEAST, NAMES, STRIDE, VIEWS, looks
from dfd_core.errors import ModelError
from dfd_core.judging.scoring import Scorer
from dfd_core.models.runtime import load_model
from dfd_core.settings import ModelSettings
from dfd_core.types import FaceTrack, Float32Array, UInt8Array
from tests.fixtures_faces import clip_set, filmed_portraits, pages_of_clips
from tests.keras_process import KerasProcess
from tests.test_trainer import run_commands
from trainer.data.face_pool import FacePool
from trainer.fakes.light import CHANGES, wide_gamut


@pytest.mark.slow
def test_layers_measure_the_face_against_its_surround(in_keras: KerasProcess) -> None:
    done = in_keras("texture_layers")
    assert done.ok, done.stderr[-2000:]


@pytest.mark.slow
def test_a_head_finds_what_tells_and_nothing_else(tmp_path: Path, pool: FacePool, in_keras: KerasProcess) -> None:
    done = in_keras("texture_head", clip_set(tmp_path / "s.h5", pool, pages_of_clips()))
    assert done.ok, done.stderr[-2000:]


@pytest.mark.slow
def test_from_windows_to_a_model_with_texture(
    tmp_path: Path, pool: FacePool, tiny_model: Path, in_keras: KerasProcess
) -> None:
    """Folds are fitted and judged, then all; both runtimes agree; the fusion gives it weight, and it is computed.

    Then again with a second voice.
    """
    windows, out = clip_set(tmp_path / "w.h5", pool, pages_of_clips(), moments=2, frames=8), tmp_path / "out"
    filmed = clip_set(tmp_path / "f.h5", pool, filmed_portraits(), moments=1, frames=8)
    texture, two = ["texture", tiny_model, "--data", windows, "--threads", 1], tmp_path / "two"
    folded, fitted, fused, *_ = run_commands(
        in_keras,
        [*texture, "--folds", 2, "--out", tmp_path / "folds"],
        [*texture, "--out", tmp_path / "model"],
        ["fuse", tmp_path / "model", "--windows", windows, "--folds", tmp_path / "folds", "--jobs", 1, "--out", out],
        ["texture", out, "--data", windows, "--second", filmed, "--threads", 1, "--out", two],
    )
    assert "fold-1: AUC all" in folded
    assert "texture of 36 faces" in fitted
    report = json.loads((tmp_path / "folds" / "report.json").read_text())
    assert report["files"] == 16
    assert report["auc"] > 0.9  # these fakes are darker, and any page shows it
    assert "talking-head" in fused
    card = json.loads((out / "card.json").read_text())
    assert card["fusion"]["texture"] > 0
    assert {s["licence"] for s in card["data"]["texture"]["sources"]} == {"MIT (LICENSE)"}
    assert card["views"] == list(NAMES)
    assert set(card["files"]) == {"model.keras", "model.tflite", "texture.keras", "texture.tflite"}
    for folder, shape in ((out, "(11, 6)"), (two, "(11, 2, 6)")):
        both = in_keras("both_texture_runtimes", folder)
        assert both.ok, both.stderr[-2000:]
        *given, apart = both.stdout.rsplit(maxsplit=1)
        assert given[0].endswith(shape)
        assert float(apart) < 1e-2  # float16 weights against float32 ones
    data = json.loads((two / "card.json").read_text())["data"]
    assert data["network"] == card["data"]["network"]
    assert data["texture"]["faces"] == card["data"]["texture"]["faces"] + 10
    spoken = load_model(ModelSettings(path=str(two), runtime="litert"), 1).texture
    assert spoken is not None
    assert Texture(spoken, 64).columns[5:8] == ("chin", "crop.2", "face.2")

    model = load_model(ModelSettings(path=str(out), runtime="litert"), 1)
    assert {f"texture.{view.name}" for view in VIEWS} <= set(Scorer(model).columns)
    assert model.texture is not None
    check, tracks = Texture(model.texture, 64), [track_of(pool, frames, absent) for frames, absent in ((9, 1), (2, 2))]
    measured = check.features(tracks)
    seen = [np.flatnonzero(np.isfinite(rows).any(axis=1)).tolist() for rows in measured]
    assert seen == [[0, 1 + STRIDE], []]  # every fourth that is there; frame 1 is not; nothing moves
    assert check.score(measured[1]) is None
    assert 0 < (check.score(measured[0]) or 0) < 1


def moving(frames: int, side: int = 64) -> UInt8Array:
    """Crops (T, S, S, 3) of which each is brighter than the one before."""
    steps = np.arange(1, 10 * frames, 10, dtype=np.uint8)[:, None, None, None]
    return np.broadcast_to(steps, (frames, side, side, 3)).copy()


SINGLE = [number for number, view in enumerate(VIEWS) if not view.over_time]
OVER_TIME = [number for number, view in enumerate(VIEWS) if view.over_time]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (0, []),
        (1, [(0, 0), (0, 1), (0, 2)]),
        (8, [(0, 0), (4, 1), (0, 2)]),
        (17, [(0, 0), (4, 1), (8, 2), (12, 0), (16, 1)]),
    ],
)
def test_views_take_turns(frames: int, expected: list[tuple[int, int]]) -> None:
    seen = looks(moving(frames), np.ones(frames, np.bool_))
    assert [(look.place, look.view) for look in seen if not VIEWS[look.view].over_time] == expected


@pytest.mark.parametrize(("frames", "there"), [(1, False), (LEAST - 1, False), (LEAST, True), (8, True)])
def test_views_over_time_need_some_frames(frames: int, there: bool) -> None:
    present = np.zeros(8, np.bool_)
    present[:frames] = True
    seen = [look for look in looks(moving(8), present) if VIEWS[look.view].over_time]
    assert [look.view for look in seen] == (OVER_TIME if there else [])
    assert {look.place for look in seen} <= {frames - 1}


def test_a_frozen_picture_has_no_view_over_time() -> None:
    still = np.repeat(moving(3)[2:], 8, axis=0)
    assert {look.view for look in looks(still, np.ones(8, np.bool_))} == set(SINGLE)


def test_a_view_shows_its_part_of_the_crop() -> None:
    crops = np.arange(160 * 160 * 3, dtype=np.uint32).astype(np.uint8).reshape(1, 160, 160, 3)
    shown = {view.name: view.of(crops) for view in VIEWS}
    assert np.array_equal(shown["crop"], crops[0])
    assert np.array_equal(shown["face"], crops[0, 40:120, 40:120])
    assert np.array_equal(shown["eyes"], crops[0, 37:91, 53:107])


def test_what_moves_is_seen_and_what_lasts_is_where_nothing_does() -> None:
    rng = np.random.default_rng(1)
    crops = np.full((8, 128, 128, 3), 100, np.uint8)
    crops[:, 32:76, 32:96] = rng.integers(60, 140, (44, 64, 3))  # a fine pattern that stays
    crops[:, 76:96, 32:96] = rng.integers(60, 140, (8, 20, 64, 3))  # one that is another in each frame
    shown = {view.name: view.of(crops).astype(float) for view in VIEWS if view.over_time}
    assert shown["mouth"].shape == (44, 44, 3)
    assert shown["mouth"][:18].max() == 0  # its upper edge is 55 px below that of the crop
    assert shown["mouth"][24:38].mean() > 100
    assert shown["lasting"][4:40].std() > 1.5 * shown["lasting"][48:60].std()


def pattern(rng: np.random.Generator, side: int = 160) -> UInt8Array:
    """Uint8 (side, side, 3): spots, as smooth as a face's."""
    spots = cv2.GaussianBlur(rng.normal(size=(side, side)).astype(np.float32), (0, 0), 3)
    grey = np.clip(128 + 40 * spots / spots.std(), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def moved(image: UInt8Array, degrees: float, zoom: float, right: float, down: float) -> UInt8Array:
    """The picture turned and enlarged about its middle, then shifted."""
    middle = image.shape[0] / 2
    move = cv2.getRotationMatrix2D((middle, middle), degrees, zoom)
    move[:, 2] += right, down
    return np.asarray(cv2.warpAffine(image, move, image.shape[:2], borderMode=cv2.BORDER_REFLECT), np.uint8)


def test_a_head_that_moves_is_held_still_and_its_mouth_is_not() -> None:
    face = pattern(np.random.default_rng(1))
    crops = np.stack([moved(face, 1.5 * t, 1 + 0.01 * t, 2.0 * t, -1.0 * t) for t in range(-2, 3)])
    talking, other = crops.copy(), pattern(np.random.default_rng(2))
    for crop in talking[::2]:
        crop[88:104, 70:90] = other[88:104, 70:90]
    mouth = next(view for view in VIEWS if view.name == "mouth")
    quiet, loud = (mouth.of(c, movements(c)).astype(float) for c in (crops, talking))
    assert quiet.mean() < 0.2 * mouth.of(crops).mean()
    assert loud[20:34, 18:36].mean() > 5 * quiet[20:34, 18:36].mean()


def test_where_nothing_can_be_followed_nothing_is_moved() -> None:
    assert np.array_equal(movements(moving(5)), np.stack([np.eye(2, 3)] * 5))


def test_a_texture_of_other_views_is_refused() -> None:
    with pytest.raises(
        ModelError, match=r"looks at crop, colour, this dfd at crop, .*: fit it anew with 'dfd texture'"
    ):
        Texture(Sides(), 64, ("crop", "colour"))
    with pytest.raises(ModelError, match="looks at 6 views without a name, this dfd"):
        Texture(Sides(), 64, ())


class Sides:
    """A network of six views: it says how bright the picture is, in the second one doubled, in the third threefold."""

    name, batch = "sides", 8

    def run(self, images: UInt8Array) -> dict[str, Float32Array]:
        """Logits (B, 6)."""
        means = images.reshape(len(images), -1).mean(axis=1) if len(images) else np.zeros(0)
        return {"logit": (means[:, None] * np.arange(1, 7)).astype(np.float32)}


class TwoVoices(Sides):
    """The same by its first voice, and by a second one of so many times the odds."""

    def __init__(self, more: float) -> None:
        self.more = more

    def run(self, images: UInt8Array) -> dict[str, Float32Array]:
        """Logits (B, 2, 6)."""
        first = super().run(images)["logit"]
        return {"logit": np.stack([first, first + np.float32(self.more)], axis=1)}


@pytest.mark.parametrize(("more", "expected"), [(0.0, np.log(2)), (-30.0, 0.0), (5.0, np.log(1 + np.exp(5.0)))])
def test_the_odds_of_voices_are_added_up(more: float, expected: float) -> None:
    crops = np.full((5, 64, 64, 3), 1, np.uint8)
    track = FaceTrack(0, np.zeros((5, 4), np.float32), np.full((5, 6, 2), 40, np.float32), crops, 64)
    check = Texture(TwoVoices(more), 64)
    assert check.columns == (*NAMES, *(f"{name}.2" for name in NAMES))
    (measured,) = check.features([track])
    seen = measured[STRIDE]
    assert {n: seen[n] for n in np.flatnonzero(np.isfinite(seen))} == pytest.approx({1: 2, 7: 2 + more})
    score = check.score(measured) or 0.0
    assert np.log(score / (1 - score)) == pytest.approx(2 + expected)


def test_each_look_has_the_logit_of_its_view() -> None:
    crops = np.repeat(np.arange(1, 10, dtype=np.uint8), 64 * 64 * 3).reshape(9, 64, 64, 3)
    track = FaceTrack(0, np.zeros((9, 4), np.float32), np.full((9, 6, 2), 40, np.float32), crops, 64)
    picture = FaceTrack(0, np.zeros((1, 4), np.float32), np.full((1, 6, 2), 40, np.float32), crops[:1], 64)
    check = Texture(Sides(), 64)
    film, still = check.features([track, picture])
    assert film[0, 0] == 1
    assert film[STRIDE, 1] == 2 * 5
    assert film[2 * STRIDE, 2] == 3 * 9
    assert np.isfinite(film[2 * STRIDE]).tolist() == [False, False, True, True, True, True]  # over time: at the last
    assert np.isfinite(film).sum() == 6
    assert still[0, :3].tolist() == [1, 2, 3]  # these views of the one frame
    known = film[np.isfinite(film)].astype(float)
    assert check.score(film) == pytest.approx(1 / (1 + np.exp(-known.mean())))  # each view alike
    assert check.score(still) == pytest.approx(1 / (1 + np.exp(-2)))


def track_of(pool: FacePool, frames: int, absent: int) -> FaceTrack:
    """A face that stands still, not seen in `absent` frames from the second on, or in none where that is all."""
    image = np.ascontiguousarray(pool.read(0, 0.0).image[:96, :96])
    boxes = np.tile(np.array([10, 10, 70, 70], np.float32), (frames, 1))
    boxes[slice(1, 1 + absent) if absent < frames else slice(None)] = np.nan
    return FaceTrack(0, boxes, np.full((frames, 6, 2), 40, np.float32), np.stack([image] * frames), 96)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_other_colours_keep_the_picture(pool: FacePool, change: Callable[..., UInt8Array]) -> None:
    image = np.ascontiguousarray(pool.read(0, 0.0).image[:96, :96])
    changed = [change(image, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert changed[0].shape == image.shape
    assert changed[0].dtype == np.uint8
    assert np.array_equal(changed[0], changed[1])
    assert 0.5 < np.abs(changed[0].astype(int) - image).mean() < 60
    grey = [picture.mean(axis=2).ravel() for picture in (image, changed[0])]
    assert np.corrcoef(grey)[0, 1] > 0.9


def test_wide_gamut_makes_colours_paler_and_leaves_grey(pool: FacePool) -> None:
    rng, red = np.random.default_rng(1), np.full((4, 4, 3), (200, 40, 40), np.uint8)
    spread = [int(np.ptp(picture[0, 0].astype(int))) for picture in (red, wide_gamut(red, rng))]
    assert spread[1] < 0.8 * spread[0]
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert np.abs(wide_gamut(grey, rng).astype(int) - grey).max() <= 1


def test_checks_without_weight_are_not_computed(tiny_model: Path) -> None:
    model = load_model(ModelSettings(path=str(tiny_model), runtime="litert"), 1)
    assert {c.split(".")[0] for c in Scorer(model).columns} == {"appearance", "quality"}
    assert {c.split(".")[0] for c in Scorer(model, every_check=True).columns} == {
        "appearance",
        "noise",
        "temporal",
        "quality",
    }
