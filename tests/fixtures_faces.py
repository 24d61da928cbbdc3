"""Faces to train on: versions of the public-domain portrait, and noise; as a folder, a pool and data sets."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.pictures import sample_portrait
from trainer.data.dataset import DatasetWriter, FaceWindow, FileRow, Header
from trainer.data.face_pool import FacePool, pool_of
from trainer.data.portraits import load_portraits
from trainer.training.recipes import recipe_named

SMOKE = recipe_named("smoke").but(size=96)


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """One upright face; see `tests.pictures.sample_portrait`."""
    return sample_portrait()


@pytest.fixture(scope="session")
def portraits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with faces.csv: six versions of one portrait, one of them of a held-out source."""
    matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    image = cv2.imread(str(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))
    folder = tmp_path_factory.mktemp("portraits")
    sources = ("us_a", "us_a", "us_a", "us_b", "other", SMOKE.sampling.held_out[0])
    with (folder / "faces.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["file", "source"])
        for number, source in enumerate(sources):
            cv2.imwrite(str(folder / f"{number}.png"), cv2.resize(image, None, fx=1 - number / 20, fy=1 - number / 20))
            writer.writerow([f"{number}.png", source])
    return folder


@pytest.fixture(scope="session")
def pool(portraits: Path, tmp_path_factory: pytest.TempPathFactory) -> FacePool:
    return load_portraits(portraits, tmp_path_factory.mktemp("pool") / "faces.npz", SMOKE.sampling.held_out)


def face_set(path: Path, pool: FacePool, methods: tuple[str, ...], moments: int = 2, *, validation: int = 1) -> Path:
    """A data set of the portrait: for each group a real window and one fake of each method, by group and split."""
    splits = ("train", "train", *["validation"] * validation)
    header = Header(288, moments, 8.0, "folders", "group")
    with DatasetWriter(path, header) as writer:
        for n, split in enumerate(splits):
            for method in ("", *methods):
                name = f"{n}.png" if method.startswith(("generated", "restored")) else f"{n}{method}.png"
                file = writer.add_file(FileRow(name, (f"person-{n}",), method))
                writer.add(face_window(pool, n, moments, darker=bool(method)), file, bool(method), split)
        writer.close()
    return path


def face_window(pool: FacePool, index: int, moments: int, *, darker: bool) -> FaceWindow:
    picture = pool.read(index, 0.0)
    scale = 288 / max(picture.image.shape[:2])
    crop = np.zeros((288, 288, 3), np.uint8)
    small = cv2.resize(picture.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    crop[: small.shape[0], : small.shape[1]] = small // (2 if darker else 1)
    crops = np.stack([np.clip(crop.astype(int) + 20 * n, 0, 255).astype(np.uint8) for n in range(moments)])
    boxes = np.repeat((picture.box * scale)[None], moments, axis=0)
    mesh = np.repeat((picture.landmarks * scale)[None], moments, axis=0).astype(np.float16)
    unknown = np.full((moments, 6, 2), np.nan, np.float32), np.full(moments, np.nan, np.float32)
    return FaceWindow(crops, 288.0, np.ones(moments, np.uint8), np.arange(moments) / 8, boxes, mesh, *unknown)


def noise_pool(path: Path) -> FacePool:
    """A pool of noise with real and fake faces to train and to validate with."""
    if not path.exists():
        rng = np.random.default_rng(1)
        with DatasetWriter(path, Header(96, 1, 8.0, "folders", "group")) as writer:
            for n in range(12):
                file = writer.add_file(FileRow(f"{n}.png", (str(n),), "swap" if n % 2 else ""))
                crops, box = rng.integers(0, 255, (1, 96, 96, 3), np.uint8), np.array([[20, 20, 76, 76]], np.float32)
                mesh = np.full((1, 468, 2), np.nan, np.float16)
                unknown = np.full((1, 6, 2), np.nan, np.float32), np.full(1, np.nan, np.float32)
                window = FaceWindow(crops, 96.0, np.ones(1, np.uint8), np.zeros(1), box, mesh, *unknown)
                writer.add(window, file, n % 2 == 1, "validation" if n >= 8 else "train")
            writer.close()
    return pool_of([path])


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip of a made-up page: its face is the portrait, darker where it is fake."""

    name: str
    page: str
    person: str
    method: str = ""
    family: str = "real"
    pair: str = ""
    split: str = "train"


def clip_set(path: Path, pool: FacePool, clips: Sequence[Clip], moments: int = 2, frames: int = 1) -> Path:
    """A data set of clips, `moments` windows each, a second apart."""
    with DatasetWriter(path, Header(288, frames, 8.0, "clips", "official")) as writer:
        for n, clip in enumerate(clips):
            row = FileRow(
                clip.name, (clip.person,), clip.method, "", clip.family, clip.page, clip.pair, "MIT (LICENSE)"
            )
            file = writer.add_file(row)
            fake = bool(clip.method)
            window = face_window(pool, n % 5, frames, darker=fake)
            for moment in range(moments):
                writer.add(replace(window, times_s=window.times_s + moment), file, fake, clip.split)
        writer.close()
    return path


def pages_of_clips() -> list[Clip]:
    """Four pages of two people with a method each, of two families; one more person to validate with."""
    clips = []
    for n, family in enumerate(("swap", "swap", "talking-head", "talking-head")):
        page = f"page/{n}"
        for k in range(2):
            real = f"{n}{k}.mp4"
            clips += [Clip(real, page, f"p{n}{k}"), Clip(f"f{real}", page, f"p{n}{k}", f"method-{n}", family, real)]
    held_out = Clip("v.mp4", "page/v", "v", split="validation")
    return [*clips, held_out, Clip("fv.mp4", "page/v", "v", "method-v", "swap", "v.mp4", "validation")]


def filmed_portraits() -> list[Clip]:
    """Five people and five made by a generator, of no family."""
    reals = [Clip(f"q{n}.mp4", "", f"q{n}", family="") for n in range(5)]
    return [*reals, *(Clip(f"g{n}.mp4", "", f"g{n}", "generator", "") for n in range(5))]
