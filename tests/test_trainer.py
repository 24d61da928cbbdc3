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
from trainer.networks.torchfile import read_torch_file
from trainer.networks.weights import network_file, take_mean
from trainer.training.recipes import recipe_named


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


def test_a_killed_learner_takes_its_feeders_along(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.programs.feed", str(tmp_path / "noise.h5")]
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


@pytest.mark.slow
def test_the_pretrained_trunk_knows_imagenet(in_keras: KerasProcess) -> None:
    """The portrait shows a military uniform, class 652 of ImageNet."""
    matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    done = in_keras("imagenet_classes", Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg")
    assert done.ok, done.stderr
    assert 652 in json.loads(done.stdout.strip().splitlines()[-1])


def run_commands(in_keras: KerasProcess, *commands: list[object]) -> list[str]:
    """What each command of `dfd` prints."""
    done = in_keras("commands", json.dumps([[str(word) for word in argv] for argv in commands]))
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
