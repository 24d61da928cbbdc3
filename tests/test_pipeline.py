"""A folder of pictures becomes a data set, a trained and a searched network, and is served through Redis."""

from __future__ import annotations

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
    if importlib.util.find_spec("autokeras") is None:  # importing it would take a minute
        pytest.skip("needs AutoKeras: pip install dfd[trainer]")
    matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib's sample portrait: pip install dfd[demo]")
    portrait = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    data, run, found, model = (tmp_path / name for name in ("set.h5", "run", "found", "model"))
    layout = ["--layout", "folders", "--frames", 1, "--windows", 1, "--validation", 0.5, "--test", 0]
    quick = ["--trials", 1, "--epochs", 1, "--size", 64, "--batch", 4, "--backbones", "plain"]
    built, trained, searched, _ = run_commands(
        in_keras,
        ["data", "build", people(tmp_path / "in", portrait), "--out", data, "--jobs", 1, *layout],
        ["train", "smoke", "--data", data, "--out", run, "--feeders", 1],
        ["search", "--data", data, "--out", found, *quick],
        ["export", found, "--out", model],
    )
    assert "8 windows (train 2 real and 2 fake, validation 2 real and 2 fake" in built
    assert "step 2/2" in trained
    assert "best_model.keras" in str(list(found.iterdir())), searched
    process = marked.start(watch(CLIP, "--json"), **ALARM, **{"model.path": str(model)})
    try:
        assert process.wait(PATIENCE_S) == 0, marked.err.read_text()
    finally:
        process.kill()
        process.wait()
    end = [json.loads(line) for line in marked.out.read_text().splitlines()][-1]
    assert (end["event"], end["state"], end["text"]) == ("end", "fake", "fake from 00:00")
