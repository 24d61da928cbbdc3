"""Pairs made of real windows: by blending a face into itself, and by a generator; with real files throughout."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from dfd_core.cli.main import main
from ingest.sources.synthetic import Scene, render_synthetic
from tests.keras_process import KerasProcess
from tests.test_data import build, collection
from tests.test_dataset import small_set
from trainer.data.dataset import Dataset
from trainer.data.layouts import SPLITS
from trainer.fakes.clips import decoded
from trainer.fakes.command import blended


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of the public-domain portrait: three real files, three fake ones, two windows of two frames each."""
    pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    folder = tmp_path_factory.mktemp("source")
    render_synthetic(folder / "face.mp4", Scene(duration=1.0, fake_from=1.0, size=(320, 240), fps=8))
    root = collection(folder / "in", folder / "face.mp4")
    options = ("--frames", "2", "--windows", "2", "--validation", "0.3", "--test", "0.3")
    assert build(root, folder / "set.h5", *options) == 0
    return folder / "set.h5"


def fakes(dataset: Path, out: Path, *more: str) -> int:
    return main(["data", "fakes", str(dataset), "--out", str(out), "--jobs", "1", *more])


def test_every_real_window_gets_a_fake(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fakes(source, tmp_path / "out.h5") == 0
    assert "6 pairs" in capsys.readouterr().out
    old, new = Dataset(source), Dataset(tmp_path / "out.h5")
    reals = np.flatnonzero(old.labels == 0)
    assert new.header == old.header
    assert new.labels.tolist() == [0, 1] * 6
    for n, row in enumerate(reals):
        was, real, fake = old.window(row), new.window(2 * n), new.window(2 * n + 1)
        assert np.array_equal(was.crops, real.crops)
        assert 0.25 < np.abs(fake.crops.astype(int) - real.crops).mean() < 60
        for name in ("present", "times_s", "boxes", "mesh", "side"):
            assert np.array_equal(getattr(was, name), getattr(real, name), equal_nan=True)
            assert np.array_equal(getattr(was, name), getattr(fake, name), equal_nan=True)
        entries = [new.files[new.file_of[2 * n + k]] for k in (0, 1)]
        assert [e.method for e in entries] == ["", "self-blended"]
        assert {(e.path, e.groups) for e in entries} == {(old.files[old.file_of[row]].path, tuple(old.groups(row)))}
        assert new.splits[2 * n] == new.splits[2 * n + 1] == old.splits[row]
    assert main(["data", "info", str(tmp_path / "out.h5")]) == 0
    assert "self-blended" in capsys.readouterr().out


def test_the_seed_decides_and_the_processes_do_not(source: Path, tmp_path: Path) -> None:
    for name, *more in (("a",), ("b", "--jobs", "2"), ("c", "--seed", "2")):
        assert fakes(source, tmp_path / f"{name}.h5", "--degrade", *more) == 0
    one, two, other = (
        [Dataset(tmp_path / f"{name}.h5").window(n).crops for n in range(12)] for name in ("a", "b", "c")
    )
    assert all(map(np.array_equal, one, two))
    assert not all(map(np.array_equal, one[1::2], other[1::2]))


def test_degradation_is_the_same_for_both(source: Path, tmp_path: Path) -> None:
    assert fakes(source, tmp_path / "plain.h5") == fakes(source, tmp_path / "worse.h5", "--degrade") == 0
    plain, worse = Dataset(tmp_path / "plain.h5"), Dataset(tmp_path / "worse.h5")
    changed = [np.abs(plain.window(n).crops.astype(int) - worse.window(n).crops).mean() for n in range(12)]
    assert max(changed) > 0.5
    for real, fake in zip(changed[::2], changed[1::2], strict=True):
        assert fake == pytest.approx(real, rel=0.5, abs=0.5)


def test_one_blending_for_a_whole_window(source: Path) -> None:
    window = Dataset(source).window(0)
    for array in (window.crops, window.mesh, window.boxes):
        array[1] = array[0]
    _, fake = blended(window, np.random.default_rng(1)) or (None, None)
    assert fake is not None
    assert np.array_equal(fake.crops[0], fake.crops[1])


def test_frames_without_landmarks_are_absent_and_windows_left_out(source: Path, tmp_path: Path) -> None:
    dataset = Path(shutil.copy(source, tmp_path / "set.h5"))
    with h5py.File(dataset, "a") as h5:
        first, second = np.flatnonzero(h5["label"][:] == 0)[:2]
        h5["mesh"][first] = np.nan
        h5["mesh"][second, 1] = np.nan
    assert fakes(dataset, tmp_path / "out.h5") == 0
    data = Dataset(tmp_path / "out.h5")
    assert len(data) == 10
    assert data.failed == [(data.files[0].path, f"window {first}: no frame of it has landmarks")]
    assert data.present[:2].tolist() == [[True, False]] * 2
    assert np.isnan(data.window(1).boxes[1]).all()
    with h5py.File(dataset, "a") as h5:
        h5["mesh"][...] = np.nan
    assert fakes(dataset, tmp_path / "none.h5") == 1
    assert not list(tmp_path.glob("*none.h5*"))


def gan_run(folder: Path, **plan: object) -> Path:
    """A folder as `dfd gan` begins it."""
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"kind": "conv", "decoder": "shuffle", "size": 64, **plan}))
    return folder


def _all_fake(path: Path) -> None:
    with h5py.File(path, "a") as h5:
        h5["label"][...] = 1


def test_what_cannot_work_gets_its_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset, out = small_set(tmp_path / "set.h5"), tmp_path / "out.h5"
    begun, dense = gan_run(tmp_path / "begun"), gan_run(tmp_path / "dense", kind="mlp")
    for target, options, sentence in (
        (out, ("--kind", "generated"), "belong together"),
        (out, ("--kind", "self-blended", "--generator", str(begun)), "belong together"),
        (out, ("--generator", str(begun)), "has no generator.keras yet"),
        (out, ("--generator", str(dense)), "makes faces of noise"),
        (out, ("--generator", str(tmp_path)), "is no run folder of 'dfd gan'"),
        (out, ("--jobs", "0"), "at least 1"),
        (dataset, (), "choose another file"),
    ):
        assert fakes(dataset, target, *options) == 1
        error = capsys.readouterr().err
        assert sentence in error
        assert error.count("\n") == 1
    _all_fake(dataset)
    assert fakes(dataset, out) == 1
    assert "no real window" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.slow
def test_a_generator_makes_the_fakes(source: Path, tmp_path: Path, in_keras: KerasProcess) -> None:
    done = in_keras("generated_fakes", source, gan_run(tmp_path / "run"), tmp_path / "out.h5")
    assert done.ok, done.stderr
    assert "6 pairs" in done.stdout


def test_portraits_are_filmed_and_keep_their_sides(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, film = tmp_path / "filmed", ["data", "film", str(source), "--clips", "1", "--jobs", "1", "--out"]
    assert main([*film, str(out)]) == 0
    assert "3 real and 3 fake portraits filmed" in capsys.readouterr().out
    with (out / "manifest.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    sides = [(split, label) for split in ("train", "validation", "test") for label in ("real", "fake")]
    assert [(row["split"], row["label"]) for row in rows] == sides
    old = Dataset(source)
    side_of = {"+".join(old.groups(n)): SPLITS[old.splits[n]] for n in range(len(old))}
    assert all(side_of[row["group"]] == row["split"] for row in rows)

    made = {path: path.stat().st_mtime_ns for path in out.glob("*.mp4")}
    lost = out / rows[0]["file"]
    before = decoded(lost)
    lost.unlink()
    assert main([*film, str(out)]) == 0
    again = decoded(lost)  # the seed decides; PyAV and libx264 do not give the same bytes twice
    assert np.abs(np.stack(again).astype(int) - np.stack(before)).mean() < 3
    assert {p: s for p, s in made.items() if p != lost} == {p: p.stat().st_mtime_ns for p in made if p != lost}
    options = ("--layout", "manifest", "--frames", "4", "--windows", "1")
    assert build(out / "manifest.csv", tmp_path / "f.h5", *options) == 0
    assert len(Dataset(tmp_path / "f.h5")) == 6
    assert main([*film[:4], "0", *film[5:], str(out)]) != 0
