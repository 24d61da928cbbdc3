"""The check texture: what it measures, how it is fitted, and that it serves as it was fitted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dfd_core.checks.texture import STRIDE, Texture, looks, view_of
from dfd_core.judging.scoring import Scorer
from dfd_core.models.runtime import load_model
from dfd_core.settings import ModelSettings
from dfd_core.types import FaceTrack, Float32Array, UInt8Array
from tests.fixtures_faces import clip_set, pages_of_clips
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
    """Folds are fitted and judged, then all; both runtimes agree; the fusion gives it weight, and it is computed."""
    windows, out = clip_set(tmp_path / "w.h5", pool, pages_of_clips(), moments=2, frames=8), tmp_path / "out"
    texture = ["texture", tiny_model, "--data", windows, "--threads", 1]
    folded, fitted, fused = run_commands(
        in_keras,
        [*texture, "--folds", 2, "--out", tmp_path / "folds"],
        [*texture, "--out", tmp_path / "model"],
        ["fuse", tmp_path / "model", "--windows", windows, "--folds", tmp_path / "folds", "--jobs", 1, "--out", out],
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
    assert set(card["files"]) == {"model.keras", "model.tflite", "texture.keras", "texture.tflite"}
    both = in_keras("both_texture_runtimes", out)
    assert both.ok, both.stderr[-2000:]
    assert float(both.stdout.split()[-1]) < 1e-2  # float16 weights against float32 ones

    model = load_model(ModelSettings(path=str(out), runtime="litert"), 1)
    assert "texture.logit" in Scorer(model).columns
    assert model.texture is not None
    check, tracks = Texture(model.texture, 64), [track_of(pool, frames, absent) for frames, absent in ((9, 1), (2, 2))]
    measured = check.features(tracks)
    seen = [np.flatnonzero(np.isfinite(rows[:, 0])).tolist() for rows in measured]
    assert seen == [[0, 1 + STRIDE], []]  # every fourth that is there; frame 1 is not
    assert check.score(measured[1]) is None
    assert 0 < (check.score(measured[0]) or 0) < 1


@pytest.mark.parametrize(
    ("frames", "views", "expected"),
    [
        (0, 2, []),
        (1, 1, [(0, 0)]),
        (1, 2, [(0, 0), (0, 1)]),
        (2, 2, [(0, 0), (1, 1)]),
        (5, 2, [(0, 0), (1, 1), (2, 0), (3, 1), (4, 0)]),
    ],
)
def test_views_take_turns(frames: int, views: int, expected: list[tuple[int, int]]) -> None:
    assert looks(frames, views) == expected


def test_a_view_shows_the_middle_of_the_crop() -> None:
    crop = np.arange(160 * 160 * 3, dtype=np.uint32).astype(np.uint8).reshape(160, 160, 3)
    assert np.array_equal(view_of(crop, 0), crop)
    assert np.array_equal(view_of(crop, 1), crop[40:120, 40:120])


class Sides:
    """A network of two views: it says how bright the picture is, in one view as it is, in the other doubled."""

    name, batch = "sides", 8

    def run(self, images: UInt8Array) -> dict[str, Float32Array]:
        means = images.reshape(len(images), -1).mean(axis=1) if len(images) else np.zeros(0)
        return {"logit": np.stack([means, 2 * means], axis=1).astype(np.float32)}


def test_each_look_has_the_logit_of_its_view() -> None:
    crops = np.repeat(np.arange(1, 10, dtype=np.uint8), 64 * 64 * 3).reshape(9, 64, 64, 3)
    track = FaceTrack(0, np.zeros((9, 4), np.float32), np.full((9, 6, 2), 40, np.float32), crops, 64)
    picture = FaceTrack(0, np.zeros((1, 4), np.float32), np.full((1, 6, 2), 40, np.float32), crops[:1], 64)
    film, still = Texture(Sides(), 64).features([track, picture])
    assert film[::STRIDE, 0].tolist() == [1, 2 * 5, 9]
    assert still[0, 0] == pytest.approx(1.5)  # both views of the one frame


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
