"""The file of a data set: what is read of it, what is wrong with others, and full disks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from dfd_core.cli.main import main
from dfd_core.errors import DataError
from trainer.data.dataset import Dataset, DatasetWriter, FaceWindow, FileRow, Header
from trainer.data.parts import load_windows, save_windows
from trainer.data.schema import MESH_POINTS


def window_of(rng: np.random.Generator, seen: int) -> FaceWindow:
    """A window of two frames of noise, in the first `seen` of which there is a face."""
    present, times = np.array([1, seen - 1], np.uint8), np.array([0.0, 0.125])
    crops, boxes = rng.integers(0, 255, (2, 48, 48, 3), np.uint8), np.full((2, 4), 8, np.float32)
    mesh, landmarks = np.full((2, MESH_POINTS, 2), 24, np.float16), np.full((2, 6, 2), 24, np.float32)
    return FaceWindow(crops, 48.0, present, times, boxes, mesh, landmarks, np.full(2, 30, np.float32))


def small_set(path: Path, split: str = "group", groups: tuple[str, str] = ("a", "b")) -> Path:
    """A data set of two windows, train and test, made without any video."""
    rng = np.random.default_rng(1)
    with DatasetWriter(path, Header(64, 2, 8.0, "folders", split)) as writer:
        for n, group in enumerate(groups):
            file = writer.add_file(FileRow(f"{n}.mp4", tuple(group.split("+"))))
            writer.add(window_of(rng, n + 1), file, n == 1, ("train", "test")[n])
        writer.close()
    return path


def test_absent_frames_are_not_read(tmp_path: Path) -> None:
    data = Dataset(small_set(tmp_path / "s.h5"))
    assert [len(data.crops(n)) for n in (0, 1)] == [1, 2]
    assert data.crops(0).shape[1:] == (48, 48, 3)


def test_a_group_on_both_sides_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'a' is in both train and test"):
        Dataset(small_set(tmp_path / "s.h5", groups=("a", "a+b")))
    assert len(Dataset(small_set(tmp_path / "r.h5", split="random-frames", groups=("a", "a")))) == 2


def _foreign(path: Path) -> None:
    with h5py.File(path, "w") as h5:
        h5["x"] = [1]


def _newer(path: Path) -> None:
    with h5py.File(small_set(path), "a") as h5:
        h5.attrs["version"] = 99


def _columnless(path: Path) -> None:
    with h5py.File(small_set(path), "a") as h5:
        del h5["label"]


def _cut_short(path: Path) -> None:
    data = small_set(path).read_bytes()
    path.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda path: path.write_bytes(b"text"), "not an HDF5 file, or it is cut short"),
        (_cut_short, "not an HDF5 file, or it is cut short"),
        (_foreign, "not a data set of dfd"),
        (_newer, "upgrade dfd"),
        (_columnless, "damaged"),
        (lambda _: None, "There is no data set"),
    ],
)
def test_a_bad_file_gets_its_sentence(
    spoil: object, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "set.h5"
    spoil(path)  # type: ignore[operator]
    assert main(["data", "info", str(path)]) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("label", np.full(2, 7, np.uint8)), ("label", np.zeros(1, np.uint8)), ("split", np.full(2, 9, np.uint8)),
        ("file", np.full(2, 99, np.int32)), ("file", np.full(2, -1, np.int32)), ("pixels", np.full(2, 999, np.int32)),
        ("crops", np.zeros((2, 2, 4, 4, 3), np.uint8)), ("crops", np.zeros((2, 2, 64, 64, 3), np.float32)),
        ("boxes", np.zeros((2, 4), np.float32)), ("present", None), ("files/path", np.arange(2)),
    ],
)  # fmt: skip
def test_columns_that_are_not_as_they_must_be_are_told(tmp_path: Path, column: str, values: np.ndarray | None) -> None:
    path = small_set(tmp_path / "s.h5")
    with h5py.File(path, "a") as h5:
        del h5[column]
        if values is None:
            h5.create_group(column)
        else:
            h5[column] = values
    with pytest.raises(DataError, match="is a damaged data set"):
        Dataset(path)


@pytest.mark.parametrize(("name", "value"), [("frames", "two"), ("crop_px", -1), ("version", "two")])
def test_a_header_of_another_kind_is_told(tmp_path: Path, name: str, value: object) -> None:
    path = small_set(tmp_path / "s.h5")
    with h5py.File(path, "a") as h5:
        h5.attrs[name] = value
    with pytest.raises(DataError, match="data set"):
        Dataset(path)


def test_a_full_disk_gets_its_sentence(tmp_path: Path) -> None:
    """Where windows are kept it is met; before HDF5 meets it, which it does not survive, writing ends."""
    part = tmp_path / "part.npz"
    save_windows(part, [window_of(np.random.default_rng(1), 2)])
    command = [sys.executable, "-B", "-m", "tests.programs.full_disk", str(part), str(tmp_path / "other.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.startswith(f"Cannot write {tmp_path / 'other.npz'}: the disk is full"), done.stderr
    assert not (tmp_path / "other.npz").exists()
    header = Header(64, 2, 8.0, "folders", "group")
    with (
        pytest.raises(DataError, match="the disk is full"),
        DatasetWriter(tmp_path / "set.h5", header, reserve=1 << 60) as writer,
    ):
        writer.add(load_windows(part)[0], 0, False, "train")
    assert list(tmp_path.glob("*.h5*")) == list(tmp_path.glob(".*")) == []
