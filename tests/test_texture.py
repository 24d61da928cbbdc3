"""The check texture: what it measures, how it is fitted, and that it serves as it was fitted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dfd_core.checks.texture import STRIDE, Texture
from dfd_core.judging.scoring import Scorer
from dfd_core.models.runtime import load_model
from dfd_core.settings import ModelSettings
from dfd_core.types import FaceTrack, UInt8Array
from tests.fixtures_faces import clip_set, pages_of_clips
from tests.keras_process import KerasProcess
from tests.test_trainer import run_commands
from trainer.data.face_pool import FacePool
from trainer.fakes.light import CHANGES, wide_gamut

_LAYERS = """
import numpy as np
from dfd_core.models.statistics import Discriminant, RegionStatistics

rng = np.random.default_rng(1)
maps = rng.normal(2.0, 1.0, (2, 12, 12, 3)).astype(np.float32)
maps[1, 3:9, 3:9] *= 3  # the face of the second: within .27 of the side from the middle lie rows 3 to 8
found = np.asarray(RegionStatistics()(maps))
assert found.shape == (2, 12), found.shape
assert np.allclose(found[:, :3], maps.mean((1, 2)), atol=1e-4)
assert np.allclose(found[:, 3:6], np.log(maps.std((1, 2)) + 1e-3), atol=1e-4)
assert np.abs(found[0, 6:]).max() < 0.5 and (found[1, 6:9] > 1).all() and (found[1, 9:] > 0.5).all(), found
face, around = maps[0, 3:9, 3:9].reshape(-1, 3), np.ones((12, 12), bool)
around[2:10, 2:10] = False
assert np.allclose(found[0, 6:9], face.mean(0) - maps[0][around].mean(0), atol=1e-4)
alike = np.asarray(RegionStatistics()(np.full((1, 8, 8, 2), 5.0, np.float32)))
assert np.isfinite(alike).all() and np.allclose(alike[0, 4:], 0, atol=1e-3)

layer = Discriminant()
layer.build((None, 2))
layer.set_weights([np.array([1, 2.0]), np.array([0.5, 1]), np.array([[1.0], [10]]), np.array([0.25])])
assert np.allclose(layer(np.array([[3.0, 2], [1, 1000]], np.float32)), [[1.25], [50.25]])  # 998 deviations count as 5
assert not layer.trainable_weights
"""

_HEAD = """
import sys
from pathlib import Path
import numpy as np
from trainer.data.face_pool import pool_of
from trainer.training.discriminant import fit_head, logits_of, weights_of

pool = pool_of([Path(sys.argv[1])])
weights = weights_of(pool)
assert np.isclose(weights[pool.fake].sum(), 0.5) and np.isclose(weights[~pool.fake].sum(), 0.5)
rng = np.random.default_rng(1)
statistics = rng.normal(0, 1, (len(pool), 40)).astype(np.float32)
statistics[:, 7] += 4 * pool.fake
statistics[:, 3] *= 100  # wide, and says nothing
other = rng.normal(0, 1, (50, 40)).astype(np.float32)
unchanged = other, other
head = fit_head(statistics, pool, unchanged)
logits = logits_of(head, statistics)
assert (logits[pool.fake].min() > logits[~pool.fake].max()), logits
assert np.argmax(np.abs(head.direction)) == 7
centres = [np.average(logits[of], weights=weights[of]) for of in (pool.fake, ~pool.fake)]
assert abs(sum(centres)) < 0.2 * (centres[0] - centres[1])  # even odds lie half-way

both = statistics.copy()
both[:, 9] = both[:, 7] + rng.normal(0, 0.5, len(pool))  # tells too, but light moves it as well
lit = other.copy()
lit[:, 9] += rng.normal(0, 3, 50)
plain, proof = (fit_head(both, pool, nuisance) for nuisance in (unchanged, (other, lit)))
moved = [np.std(logits_of(head, lit) - logits_of(head, other)) for head in (plain, proof)]
assert moved[1] < 0.7 * moved[0], moved
logits = logits_of(proof, both)
assert logits[pool.fake].min() > logits[~pool.fake].max()
"""


@pytest.mark.slow
def test_layers_measure_the_face_against_its_surround(in_keras: KerasProcess) -> None:
    done = in_keras(_LAYERS)
    assert done.ok, done.stderr[-2000:]


@pytest.mark.slow
def test_a_head_finds_what_tells_and_nothing_else(tmp_path: Path, pool: FacePool, in_keras: KerasProcess) -> None:
    done = in_keras(_HEAD, clip_set(tmp_path / "s.h5", pool, pages_of_clips()))
    assert done.ok, done.stderr[-2000:]


_BOTH = """
import sys
from pathlib import Path
import numpy as np
from dfd_core.models.runtime import open_runtime

images = np.random.default_rng(5).integers(0, 255, (11, 64, 64, 3)).astype(np.uint8)
lite, keras = (open_runtime(Path(sys.argv[1]), kind, 1, texture=True) for kind in ("litert", "keras"))
one, other = lite.run(images)["logit"], keras.run(images)["logit"]
assert one.shape == other.shape == (11, 1)
print(float(np.abs(one - other).max() / np.abs(other).max()))
"""


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
    both = in_keras(_BOTH, out)
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
