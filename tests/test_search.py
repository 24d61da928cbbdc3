"""A tiny search, from a data set to a served detector, interrupted on its way; and what cannot be searched."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from dfd_core.cli import main
from dfd_core.models.store import ModelCard, write_card
from tests.keras_process import KerasProcess
from tests.test_data import small_set, window_of
from trainer.data.dataset import DatasetWriter, FileRow, Header
from trainer.search.plan import Plan, Trial, why_nothing


def noise_set(path: Path, classes: tuple[tuple[str, bool], ...]) -> Path:
    """A data set with two windows of noise for each pair of split and class, each of a group of its own."""
    rng = np.random.default_rng(1)
    with DatasetWriter(path, Header(64, 2, 8.0, "folders", "group")) as writer:
        for number, (split, fake) in enumerate(2 * classes):
            file = writer.add_file(FileRow(f"{number}.mp4", f"{split}{number}", "", ""))
            writer.add(window_of(rng, 2), file, fake, split)
        writer.close()
    return path


BOTH = (("train", False), ("train", True), ("validation", False), ("validation", True))

_SEARCH = """
import pathlib, sys
import numpy as np
from dfd_core.cli import main
from dfd_core.models.runtime import open_runtime
from trainer.search.network import as_detector, load_best
from trainer.search.tuner import Tuner
data, run, model = sys.argv[1:]
facts = pathlib.Path(run) / "trials" / "trial_0" / "facts.json"
def search(*more, out=run):
    fixed = ["--backbones", "plain", "--size", "64", "--epochs", "1", "--batch", "4", "--frames", "all"]
    return main(["search", "--data", data, "--out", out, *fixed, *more])
def die(self, trial, *_):
    if trial.trial_id == "1":
        raise KeyboardInterrupt
whole, Tuner.on_epoch_end = Tuner.on_epoch_end, die
assert search() == 130
Tuner.on_epoch_end = whole
written = facts.stat().st_mtime_ns
assert search() == 0
assert facts.stat().st_mtime_ns == written  # the first trial stands
assert search("--seed", "2") == 1
assert search("--trials", "1", "--max-parameters", "10", out=run + "-small") == 1
theirs = pathlib.Path(run + "-theirs")
assert search("--space", "autokeras", "--trials", "1", out=str(theirs)) == 0
assert main(["export", run, "--out", model]) == 0
best, legacy = load_best(pathlib.Path(run)), load_best(pathlib.Path(run, "best_model.h5"))
images = np.random.default_rng(1).integers(0, 256, (5, 64, 64, 3), np.uint8)
fake = np.asarray(best(images, training=False))[:, 0]
assert np.abs(np.asarray(legacy(images, training=False))[:, 0] - fake).max() < 1e-6
def probability(logit):
    return 1 / (1 + np.exp(-np.asarray(logit)[:, 0]))
for runtime in ("litert", "keras"):
    logit = open_runtime(pathlib.Path(model), runtime).run(images)["logit"]
    assert np.abs(probability(logit) - fake).max() < 5e-3, runtime
best = load_best(theirs)
logit = as_detector(best)(images.astype(np.float32), training=False)
assert np.abs(probability(logit) - np.asarray(best(images, training=False))[:, 0]).max() < 1e-4
"""


@pytest.mark.slow
def test_an_interrupted_search_goes_on_and_serves(tmp_path: Path, in_keras: KerasProcess) -> None:
    _needs_packages()
    run, model = tmp_path / "run", tmp_path / "model"
    done = in_keras(_SEARCH, noise_set(tmp_path / "set.h5", BOTH), run, model)
    assert done.ok, done.stdout + done.stderr
    assert "history: accuracy, auc, loss, val_accuracy, val_auc, val_loss" in done.stdout
    assert "take another --out" in done.stderr
    assert "the smallest has 189,969, and --max-parameters is 10" in done.stderr
    wanted = {"best_model.keras", "best_model.h5", "trials.csv", "history.csv", "thresholds.json", "run.json"}
    card = json.loads((run / "card.json").read_text())
    assert wanted <= set(card["files"])
    assert (run / "best_model.png").is_file() or "needs Graphviz" in done.stdout
    trials = list(csv.DictReader((run / "trials.csv").read_text().splitlines()))
    assert [row["eligible"] for row in trials] == ["True", "True"]
    assert all(float(row["latency_ms"]) > 0 and 0 <= float(row["auc"]) <= 1 for row in trials)
    assert "modalities 2" in trials[0]["choices"]
    facts = json.loads((run / "run.json").read_text())
    assert facts["best"]["auc"] == max(float(row["auc"]) for row in trials)
    assert json.loads((model / "card.json").read_text())["name"] == "plain-search"


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
