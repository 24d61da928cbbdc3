"""How real-world clips are drawn, and the folds that judge a recipe by what it has not seen."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from dfd_core.errors import DataError
from dfd_core.models.store import sha256_of
from tests.fixtures_faces import SMOKE, Clip, clip_set, pages_of_clips
from tests.keras_process import KerasProcess
from tests.test_trainer import run_commands
from trainer.data.face_pool import TRAIN, VALIDATION, FacePool, pool_of
from trainer.fakes.degrade import equally_sharp, sharpness_of
from trainer.training.folds import folds_of, without_family


def test_methods_are_drawn_evenly_however_many_clips_they_have(pool: FacePool, tmp_path: Path) -> None:
    counts = {"one": 1, "few": 3, "many": 12}
    fakes = [Clip(f"{m}{n}", "p", "x", m, "swap") for m, count in counts.items() for n in range(count)]
    drawn_from = pool_of(
        [clip_set(tmp_path / "s.h5", pool, [*fakes, Clip("r", "p", "y"), Clip("v", "p", "z", split="validation")])]
    )
    rng = np.random.default_rng(1)
    drawn = [drawn_from.draw_fake("real", rng) for _ in range(3000)]
    by_method = Counter(str(drawn_from.sources[n]) for n in drawn)
    assert all(abs(by_method[method] - 1000) < 110 for method in counts)
    by_file = Counter(int(drawn_from.files[n]) for n in drawn if drawn_from.sources[n] == "many")
    assert len(by_file) == 12
    assert max(by_file.values()) < 2 * min(by_file.values())


def test_a_fake_meets_its_own_real_moment_and_others_of_its_page(pool: FacePool, tmp_path: Path) -> None:
    own = [Clip("r", "p", "ann"), Clip("f", "p", "ann", "m", "swap", "r"), Clip("r2", "p", "ben")]
    clips = [*own, Clip("r3", "q", "eve"), Clip("v", "q", "z", split="validation")]
    drawn_from = pool_of([clip_set(tmp_path / "s.h5", pool, clips, moments=3)]).only(
        np.array([True] * 12 + [False] * 3)
    )
    rng, fake = np.random.default_rng(1), 5  # the last moment of f
    partners = Counter(drawn_from.partner(fake, rng) for _ in range(2000))
    assert not any(drawn_from.fake[n] for n in partners)
    assert partners[2] > 0.65 * 2000  # the same moment of r
    of_others = [drawn_from.pages[n] == "p" for n in partners if n != 2]
    assert any(of_others)
    assert sum(count for n, count in partners.items() if drawn_from.groups[n] == ("ben",)) > 0.1 * 2000


def test_pages_count_by_the_root_of_their_files(pool: FacePool, tmp_path: Path) -> None:
    clips = [Clip(f"a{n}", "a", f"a{n}") for n in range(9)] + [
        Clip("b", "b", "b"),
        Clip("v", "c", "v", split="validation"),
    ]
    own = pool_of([clip_set(tmp_path / "s.h5", pool, clips)])
    own = own.only(own.splits == TRAIN)
    of_a = own.chances[own.pages[own.reals] == "a"].sum()
    assert of_a == pytest.approx(0.75)
    assert own.chances.sum() == pytest.approx(1)


def test_untouched_pairs_are_as_they_were(pool: FacePool, tmp_path: Path) -> None:
    clips = [Clip("r", "p", "ann"), Clip("f", "p", "ann", "m", "swap", "r"), Clip("v", "q", "z", split="validation")]
    own = pool_of([clip_set(tmp_path / "s.h5", pool, clips)])
    pairs = {}
    for share in (0.0, 1.0):
        plan = replace(SMOKE.sampling.degradation, untouched_share=share, noise_share=1.0, noise_sigma=(20.0, 21.0))
        sampler = SMOKE.but(degradation=plan, fakes={"real": 1.0}).sampler(own)
        pairs[share] = sampler.pair("real", np.random.default_rng(1))
    grain = {share: np.abs(np.diff(pair.astype(int), axis=2)).mean() for share, pair in pairs.items()}
    assert grain[0.0] > 1.3 * grain[1.0]


def test_sharpness_tells_nothing_after_sampling(pool: FacePool) -> None:
    """Fakes that are blurred by so much are as sharp as their real faces once both were drawn."""
    rng, before, after, sampler = np.random.default_rng(1), [], [], SMOKE.sampler(pool)
    for n in range(60):
        real = sampler.pair("self_blended", rng, int(pool.reals[n % len(pool.reals)]))[0]
        fake = cv2.GaussianBlur(real, (0, 0), rng.uniform(0.8, 2.0))
        noisy = np.clip(real + rng.normal(0, 4, real.shape), 0, 255).astype(np.uint8)
        before.append([sharpness_of(image, 96) for image in (noisy, fake)])
        after.append([sharpness_of(image, 96) for image in equally_sharp([noisy, fake], 96)])
    labels = [0, 1] * 60
    assert roc_auc_score(labels, -np.ravel(before)) > 0.9
    assert roc_auc_score(labels, -np.ravel(after)) == pytest.approx(0.5, abs=0.07)


def test_equally_sharp_pictures_stay_as_they_are(pool: FacePool) -> None:
    image = SMOKE.sampler(pool).pair("self_blended", np.random.default_rng(1), 0)[0]
    assert all(np.array_equal(image, same) for same in equally_sharp([image, image], 96))


def test_folds_share_no_method_no_page_and_nobody(pool: FacePool, tmp_path: Path) -> None:
    clips = [*pages_of_clips(), Clip("again.mp4", "page/9", "p00")]  # somebody of page 0 on a page of his own
    whole = pool_of([clip_set(tmp_path / "s.h5", pool, clips)])
    folds = folds_of(whole, 2, 1)
    tested = np.sum([fold.test for fold in folds], axis=0)
    assert np.array_equal(tested, (whole.splits == TRAIN).astype(int))
    for fold in folds:
        assert not (fold.train & fold.test).any()
        assert not (fold.train & (whole.splits == VALIDATION)).any()
        sides = [whole.only(side) for side in (fold.train, fold.test)]
        for of in (
            lambda p: set(p.pages),
            lambda p: set(p.sources[p.fake]),
            lambda p: {g for gs in p.groups for g in gs},
        ):
            assert of(sides[0]).isdisjoint(of(sides[1]))
        assert set(sides[1].families) == {"real", "swap", "talking-head"}  # every family in every fold
    with pytest.raises(DataError, match="make no 9 folds"):
        folds_of(whole, 9, 1)


def test_a_family_is_left_out_whole(pool: FacePool, tmp_path: Path) -> None:
    whole = pool_of([clip_set(tmp_path / "s.h5", pool, pages_of_clips())])
    fold = without_family(whole, "swap")
    assert set(whole.families[fold.train]) == {"real", "talking-head"}
    assert set(whole.families[fold.test]) == {"real", "swap"}
    with pytest.raises(DataError, match="there are swap, talking-head"):
        without_family(whole, "swapp")


@pytest.mark.slow
def test_from_clips_to_a_fused_model_judged_by_folds(tmp_path: Path, pool: FacePool, in_keras: KerasProcess) -> None:
    """Folds are trained and scored, the last network is exported, and its fusion fitted on what no network had seen."""
    crops = clip_set(tmp_path / "crops.h5", pool, pages_of_clips())
    windows = clip_set(tmp_path / "windows.h5", pool, pages_of_clips(), moments=1, frames=4)
    train = ["train", "smoke", "--data", crops, "--feeders", 1, "--change", "fakes.real=1.0", "--change", "size=96"]
    folded, again, taught, trained, exported, fused = run_commands(
        in_keras,
        [*train, "--folds", 2, "--without", "swap", "--out", tmp_path / "folds"],
        [*train, "--folds", 2, "--without", "swap", "--out", tmp_path / "folds"],
        [*train, "--folds", 2, "--teacher", tmp_path / "folds", "--seed", 2, "--out", tmp_path / "taught"],
        [*train, "--out", tmp_path / "run"],
        ["export", tmp_path / "run", "--out", tmp_path / "model"],
        [
            "fuse",
            tmp_path / "model",
            "--windows",
            windows,
            "--folds",
            tmp_path / "folds",
            "--jobs",
            1,
            "--out",
            tmp_path / "out",
        ],
    )
    assert folded.count("step 2/2") == 3
    assert "step 2/2" not in again  # nothing is trained twice
    assert taught.count("step 2/2") == 2
    tested = [
        list(csv.DictReader((tmp_path / of / "scores.csv").read_text().splitlines())) for of in ("folds", "taught")
    ]
    files = [{(row["fold"], row["file"]) for row in rows if row["fold"] != "without-swap"} for rows in tested]
    assert files[0] == files[1]  # another seed is judged on the same folds
    for fold in ("fold-0", "fold-1"):  # each has the teacher that has not seen what it is judged by
        told = json.loads((tmp_path / "taught" / fold / "run.json").read_text())["teacher"]
        assert told == sha256_of(tmp_path / "folds" / fold / "best.keras")
    assert "step 2/2" in trained
    assert "model.tflite" in exported
    report = json.loads((tmp_path / "folds" / "report.json").read_text())
    assert set(report["groups"]["family"]) == {"real", "swap", "talking-head"}
    assert set(report["groups"]["fold"]) == {"fold-0", "fold-1", "without-swap"}
    assert report["files"] == 16 + 8
    assert report["validation_auc"] is not None
    rows = list(csv.DictReader((tmp_path / "folds" / "scores.csv").read_text().splitlines()))
    assert Counter(row["split"] for row in rows) == {"train": 24, "validation": 6}
    assert "talking-head" in fused
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert set(card["figures"]["clips"]["auc_by_kind"]) == {"swap", "talking-head"}
    assert {s["licence"] for s in card["data"]["sources"]} == {"MIT (LICENSE)"}
    assert {"source": "page/0", "licence": "MIT (LICENSE)", "real": 2, "fake": 2} in card["data"]["sources"]
