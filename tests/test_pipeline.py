"""A folder of pictures becomes a data set, a trained and a searched network, and is served through Redis."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.keras_process import KerasProcess
from tests.test_trainer import run_commands
from tests.test_watch import ALARM, CLIP, PATIENCE_S, Marked, marked, watch  # noqa: F401  marked is a fixture


def people(root: Path, portrait: Path, count: int = 4) -> Path:
    """Real/ and Fake/ with `count` people each: the portrait in as many exposures."""
    image = cv2.imread(str(portrait))
    for label in ("Real", "Fake"):
        (root / label).mkdir(parents=True)
        for n in range(count):
            gain = (0.7 + 0.1 * n) * (1.0 if label == "Real" else 0.8)
            cv2.imwrite(str(root / label / f"p{n}.png"), np.clip(image * gain, 0, 255).astype(np.uint8))
    return root


@pytest.mark.slow
def test_from_a_folder_to_a_served_model(tmp_path: Path, in_keras: KerasProcess, marked: Marked) -> None:  # noqa: F811
    """Build, train two steps, search two tiny trials with an interruption, export, serve."""
    if importlib.util.find_spec("autokeras") is None:  # importing it would take a minute
        pytest.skip("needs AutoKeras: pip install dfd[trainer]")
    matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    portrait = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    data, run, found, model = (tmp_path / name for name in ("set.h5", "run", "found", "model"))
    layout = ["--layout", "folders", "--frames", 1, "--windows", 1, "--validation", 0.5, "--test", 0]
    built, trained = run_commands(
        in_keras,
        ["data", "build", people(tmp_path / "in", portrait), "--out", data, "--jobs", 1, *layout],
        ["train", "smoke", "--data", data, "--out", run, "--feeders", 1],
    )
    assert "8 windows (train 2 real and 2 fake, validation 2 real and 2 fake" in built
    assert "step 2/2" in trained
    searched = in_keras("search", data, found, model)
    assert searched.ok, searched.stdout + searched.stderr
    assert "history: accuracy, auc, loss, val_accuracy, val_auc, val_loss" in searched.stdout
    assert "take another --out" in searched.stderr
    _check_what_was_found(found)
    assert json.loads((model / "card.json").read_text())["name"] == "plain-search"
    process = marked.start(watch(CLIP, "--json"), **ALARM, **{"model.path": str(model)})
    try:
        assert process.wait(PATIENCE_S) == 0, marked.err.read_text()
    finally:
        process.kill()
        process.wait()
    end = [json.loads(line) for line in marked.out.read_text().splitlines()][-1]
    assert (end["event"], end["state"], end["text"]) == ("end", "fake", "fake from 00:00")


def _check_what_was_found(found: Path) -> None:
    wanted = {"best_model.keras", "best_model.h5", "trials.csv", "history.csv", "thresholds.json", "run.json"}
    assert wanted <= set(json.loads((found / "card.json").read_text())["files"])
    assert (found / "best_model.png").read_bytes().startswith(b"\x89PNG")
    trials = list(csv.DictReader((found / "trials.csv").read_text().splitlines()))
    assert [row["eligible"] for row in trials] == ["True", "True"]
    assert all(float(row["latency_ms"]) > 0 and 0 <= float(row["auc"]) <= 1 for row in trials)
    assert "modalities 2" in trials[0]["choices"]
    facts = json.loads((found / "run.json").read_text())
    assert facts["best"]["auc"] == max(float(row["auc"]) for row in trials)
