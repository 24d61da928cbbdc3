"""What cannot be searched, and why; a search itself is in test_pipeline.py."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from dfd_core.cli.main import main
from dfd_core.models.store import ModelCard, write_card
from tests.test_dataset import small_set, window_of
from trainer.data.dataset import DatasetWriter, FileRow, Header
from trainer.search.plan import Plan, Trial, why_nothing


def noise_set(path: Path, classes: tuple[tuple[str, bool], ...]) -> Path:
    """A data set with two windows of noise for each pair of split and class, each of a group of its own."""
    rng = np.random.default_rng(1)
    with DatasetWriter(path, Header(64, 2, 8.0, "folders", "group")) as writer:
        for number, (split, fake) in enumerate(2 * classes):
            file = writer.add_file(FileRow(f"{number}.mp4", (f"{split}{number}",)))
            writer.add(window_of(rng, 2), file, fake, split)
        writer.close()
    return path


BOTH = (("train", False), ("train", True), ("validation", False), ("validation", True))


@pytest.mark.parametrize(
    ("classes", "sentence"),
    [
        (BOTH[:2], "has no real face in its validation part"),
        (BOTH[:3], "has no fake face in its validation part"),
        (BOTH[1:], "has no real face in its train part"),
    ],
)
def test_both_classes_are_needed(
    classes: tuple[tuple[str, bool], ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _needs_packages()
    assert _refused(noise_set(tmp_path / "set.h5", classes), tmp_path, capsys).count(sentence) == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [("--trials", "0"), ("--epochs", "0"), ("--size", "8"), ("--limit", "-1"), ("--modalities", "4")],
)
def test_wrong_numbers(option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert option in _refused(tmp_path / "set.h5", tmp_path, capsys, option, value)


def test_without_tensorboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _needs_packages()
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert "pip install tensorboard" in _refused(small_set(tmp_path / "set.h5"), tmp_path, capsys)


def test_a_model_file_is_loaded_only_if_a_card_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "best_model.h5"
    path.write_bytes(b"whatever")
    for spoil in (lambda: None, lambda: path.write_bytes(b"something else")):
        spoil()
        assert main(["export", str(path), "--out", str(tmp_path / "model")]) == 1
        error = capsys.readouterr().err
        assert "its sha256 must stand in the card.json beside it" in error
        assert error.count("\n") == 1
        path.write_bytes(b"whatever")
        write_card(tmp_path, ModelCard("m", "1"))
    assert main(["export", str(path), "--out", str(tmp_path / "model")]) == 1
    assert "run.json" in capsys.readouterr().err  # its hash is right, but it is of no run


def test_everything_above_a_ceiling_names_the_ceiling_and_the_smallest() -> None:
    plan = Plan("dfd", ("plain",), (2,), 2, 1, 32, 64, "one", 0, 1000.0, 0.5)
    large, slow = Trial(1, parameters=2000), Trial(2, parameters=900, latency_ms=0.75)
    assert "the smallest has 2,000, and --max-parameters is 1,000" in why_nothing([large], plan)
    assert "the fastest takes 0.75 ms an image, and --max-latency-ms is 0.5" in why_nothing([large, slow], plan)
    assert "the last one said: no memory" in why_nothing([Trial(1, why="no memory")], plan)


def _needs_packages() -> None:
    for package in ("tensorflow", "autokeras", "tensorboard"):
        if importlib.util.find_spec(package) is None:  # importing them would take a minute
            pytest.skip(f"needs {package}: pip install dfd[trainer]")


def _refused(data: Path, folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    """The one sentence of a search that fails."""
    assert main(["search", "--data", str(data), "--out", str(folder / "run"), *more]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error
