"""The picture of a network, without Graphviz."""

from __future__ import annotations

import json
from pathlib import Path

import cv2

from tests.keras_process import KerasProcess


def test_a_network_is_drawn_with_its_shapes_and_leaps(in_keras: KerasProcess, tmp_path: Path) -> None:
    done = in_keras("draw_network", tmp_path / "model.png")
    assert done.ok, done.stdout + done.stderr
    boxes, arrows = json.loads(done.stdout.splitlines()[-1])
    names = [text.split()[0] for text, _, _ in boxes]
    assert set(names) >= {"image", "inner", "conv", "add", "flat", "fake"}
    feeding = {name: {names[source] for source in inputs} for name, (_, _, inputs) in zip(names, boxes, strict=True)}
    assert feeding["add"] == {"inner", "image"}
    assert feeding["flat"] == {"add"}
    assert next(text for text, _, _ in boxes if text.startswith("fake")).endswith("?x1")
    assert {depth for text, depth, _ in boxes if text.startswith("conv")} == {1}
    assert arrows == sum(len(inputs) for _, _, inputs in boxes)
    picture = cv2.imread(str(tmp_path / "model.png"), cv2.IMREAD_GRAYSCALE)
    assert picture.shape[1] == 700
    assert picture.std() > 5
