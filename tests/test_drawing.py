"""The picture of a network, without Graphviz."""

from __future__ import annotations

import json
from pathlib import Path

import cv2

from tests.keras_process import KerasProcess

_DRAW = """
import json, pathlib, sys
import keras
from trainer.search.drawing import boxes, draw, figure_of
inner = keras.Sequential([keras.Input((8, 8, 4)), keras.layers.Conv2D(4, 3, padding="same", name="conv")], name="inner")
image = keras.Input((8, 8, 4), name="image")
one = inner(image)
both = keras.layers.Add(name="add")([one, image])
model = keras.Model(image, keras.layers.Dense(1, name="fake")(keras.layers.Flatten(name="flat")(both)))
found = boxes(model)
axes = figure_of(model).axes[0]
arrows = sum(text.arrow_patch is not None for text in axes.texts if hasattr(text, "arrow_patch"))
draw(model, pathlib.Path(sys.argv[1]))
print(json.dumps([[[b.text, b.depth, b.inputs] for b in found], arrows]))
"""


def test_a_network_is_drawn_with_its_shapes_and_leaps(in_keras: KerasProcess, tmp_path: Path) -> None:
    done = in_keras(_DRAW, tmp_path / "model.png")
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
