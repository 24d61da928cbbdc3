"""Recipes, and what they draw: kinds of fakes, pairs, batches that depend on seed and step alone."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfd_core.errors import DataError
from tests.fixtures_faces import SMOKE, face_set
from trainer.data.face_pool import FacePool, pool_of
from trainer.fakes.degrade import Degradation
from trainer.fakes.kinds import MADE
from trainer.fakes.kinds.resynthesised import decoded, draw_resynthesis, resynthesise
from trainer.fakes.real_faces import RealFaces
from trainer.fakes.sampler import shares_of
from trainer.networks.architecture import Architecture
from trainer.training.recipes import changed, recipe_named, recipe_names


def test_an_unknown_recipe_names_the_known() -> None:
    with pytest.raises(DataError, match="selfblend"):
        recipe_named("selfblent")


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_makes_sense(name: str) -> None:
    recipe = recipe_named(name)
    plan = recipe.optimisation
    assert plan.frozen[0][0] == 0
    assert plan.optimizer in {"adam", "adamw"}
    assert sum(recipe.sampling.fakes.values()) > 0
    assert [plan.frozen_stages(epoch) for epoch, _ in plan.frozen] == [stages for _, stages in plan.frozen]


def test_a_recipe_is_changed_by_name() -> None:
    recipe = changed(recipe_named("smoke"), ["epochs=4", "fakes.swapped=1", "degradation.crf=[20, 30]", "rate=0.001"])
    assert (recipe.optimisation.epochs, recipe.optimisation.rate) == (4, 0.001)
    assert recipe.sampling.fakes == {"self_blended": 1.0, "swapped": 1.0}
    assert recipe.sampling.degradation == Degradation(crf=(20, 30))
    assert changed(recipe, ["learners=2"]) == changed(recipe, ["sampling.draws=2"])  # which was called so before
    for wrong in ("epochs", "epoch=4", "epochs=many", "epochs=2.5", "fakes.swap=1", "pretrained=1", "sampling=1"):
        with pytest.raises(DataError, match="is no change of a recipe"):
            changed(recipe, [wrong])
    for wrong in ("epochs=-1", "steps=0", "size=0", "fakes.swapped=-1", "rate=NaN", "rate=Infinity", "dropout=-0.1"):
        with pytest.raises(DataError, match="is no change of a recipe"):
            changed(recipe, [wrong])
    assert changed(recipe, ["patience=0", "rate=0.0"]).optimisation.patience == 0
    assert changed(recipe, ['parts=["mouth", "eyes"]']).sampling.parts == ("mouth", "eyes")
    for wrong in ('parts=["nose"]', "parts=[]"):
        with pytest.raises(DataError, match="parts are of face, inner, lower, mouth, eyes"):
            changed(recipe, [wrong])


def test_recipes_of_older_runs_are_read() -> None:
    flat = {"name": "mine", "backbone": "plain", "size": 64, "serving_size": 96, "modalities": 2, "epochs": 4}
    assert Architecture.of_run(flat) == Architecture("plain", modalities=2, size=64, serving_size=96)
    assert Architecture.of_run(json.loads(json.dumps(asdict(SMOKE)))) == SMOKE.architecture


def test_self_blending_alters_the_parts_that_a_recipe_names(pool: FacePool) -> None:
    plain = Degradation(codec_share=0, jpeg_share=0, rescale_share=0, blur_share=0, noise_share=0)
    recipe = SMOKE.but(degradation=plain)
    altered = {}
    for part in ("face", "mouth"):
        alike, sampler = np.random.default_rng(1), recipe.but(parts=(part,)).sampler(pool)
        pairs = [sampler.pair("self_blended", alike, 0) for _ in range(6)]
        shares = [(np.abs(real.astype(int) - fake).max(axis=2) > 8).mean() for real, fake in pairs]
        altered[part] = min(shares)  # where the part is what was altered, and not all around it
    assert 0 < altered["mouth"] < 0.5 * altered["face"]


def test_a_decoder_leaves_its_period(pool: FacePool) -> None:
    flat = np.full((32, 32, 3), 100, np.uint8)
    assert np.ptp(decoded(flat, 4, 0.0, seed=1)) < 1e-2  # even weights leave nothing
    made = decoded(flat, 4, 0.05, seed=1)
    phases = made.reshape(8, 4, 8, 4, 3).transpose(1, 3, 0, 2, 4).reshape(16, -1)
    assert np.ptp(phases, axis=1).max() < 1e-2
    assert phases.mean(axis=1).std() > 0.3
    face = cv2.resize(pool.read(0, 0.0).image, (160, 160), interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(1)
    for plan in [draw_resynthesis(rng) for _ in range(12)]:
        again = resynthesise(face, plan)
        assert again.shape == face.shape
        assert 0.3 < np.abs(again.astype(int) - face).mean() < 25  # the same face, made anew
        assert np.array_equal(again, resynthesise(face, plan))


@pytest.mark.parametrize("kind", MADE)
def test_pairs_are_made_on_the_way(pool: FacePool, kind: str) -> None:
    sampler = SMOKE.but(fakes={kind: 1.0}).sampler(pool)
    assert sampler.shares == {kind: 1.0}
    real, fake = sampler.pair(kind, np.random.default_rng(3), 0).astype(int)
    assert 0.2 < np.abs(real - fake).mean() < 40
    images, labels = sampler.batch(1, 1)
    assert images.shape == (SMOKE.sampling.faces_a_step, 96, 96, 3)
    assert labels.mean() == 0.5


def test_a_batch_mixes_fakes_as_the_recipe_says(pool: FacePool, tmp_path: Path) -> None:
    training = pool_of([face_set(tmp_path / "a.h5", pool, ("swap",))])
    fakes = {"real": 0.75, "generated": 0.5, "self_blended": 0.25}  # there is no generated one: the others share
    assert shares_of(training, fakes) == {"self_blended": 0.25, "real": 0.75}
    recipe = SMOKE.but(fakes=fakes, degradation=Degradation(codec_share=0, jpeg_share=0, noise_share=0))
    real, fake = recipe.sampler(training).pair("real", np.random.default_rng(2)).astype(float)
    assert fake.mean() < 0.75 * real.mean()
    assert np.corrcoef(real.ravel(), fake.ravel())[0, 1] > 0.95  # cut alike
    images, labels = recipe.but(pairs=8).sampler(training).batch(seed=1, step=1)
    assert images.shape == (16, 96, 96, 3)
    assert labels[:, 0].tolist() == [0, 1] * 8
    with pytest.raises(DataError, match="trains on generated fakes, and the data has none"):
        shares_of(training, {"generated": 1.0})


def test_batches_depend_on_seed_and_step_alone(pool: FacePool) -> None:
    sampler = SMOKE.sampler(pool)
    images, labels = sampler.batch(seed=1, step=5)
    again, _ = sampler.batch(seed=1, step=5)
    other, _ = sampler.batch(seed=1, step=6)
    assert images.shape == (4, 96, 96, 3)
    assert labels[:, 0].tolist() == [0, 1, 0, 1]
    assert np.array_equal(images, again)
    assert not np.array_equal(images, other)
    assert all(not np.array_equal(images[n], images[n + 1]) for n in (0, 2))
    twice, its_labels = SMOKE.but(draws=2).sampler(pool).batch(seed=1, step=3)  # draws 6 and 7
    assert np.array_equal(twice[:4], other)
    assert its_labels.tolist() == [*labels.tolist(), *labels.tolist()]


def test_capped_sources_fill_half_of_a_batch(pool: FacePool) -> None:
    chances = RealFaces(pool, SMOKE.sampling.capped).chances
    capped = np.array([source.startswith("us_") for source in pool.sources])
    assert chances[capped].sum() == pytest.approx(0.5)
