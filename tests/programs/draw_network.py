"""Draws a network of a leap and one inside another, and prints its boxes and arrows: PICTURE"""

import json
import pathlib
import sys

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
