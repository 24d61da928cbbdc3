"""A network as a picture, by Matplotlib: a box a layer, top down, with its output's shape, and what feeds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

_ROW_IN, _WIDTH_IN, _DPI = 0.3, 7.0, 100  # inches a layer, inches of the picture, dots an inch
_BEND = 0.35  # of an arrow that leaps over layers, so that it does not cross their boxes


@dataclass(frozen=True, slots=True)
class Box:
    """A layer: its words, how deep it is nested, and the numbers of the boxes that feed it."""

    text: str
    depth: int
    inputs: tuple[int, ...]


def draw(model: keras.Model, path: Path) -> None:
    """Write the picture as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure_of(model)).print_png(str(path))


def figure_of(model: keras.Model) -> Any:
    """A Matplotlib figure: a text for each of `boxes`, an annotation without text for each arrow."""
    from matplotlib.figure import Figure

    drawn = boxes(model)
    figure = Figure(figsize=(_WIDTH_IN, _ROW_IN * (len(drawn) + 1)), dpi=_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 1), ylim=(len(drawn) + 0.5, -1))
    axes.axis("off")
    for row, box in enumerate(drawn):
        frame = {"boxstyle": "round,pad=0.2", "facecolor": str(0.97 - 0.05 * min(3, box.depth)), "edgecolor": "0.5"}
        axes.text(0.5, row, box.text, ha="center", va="center", fontsize=7, bbox=frame)
        for source in box.inputs:
            bend = 0.0 if row - source == 1 else _BEND
            arrow = {
                "arrowstyle": "->",
                "color": "0.4",
                "connectionstyle": f"arc3,rad={bend}",
                "shrinkA": 5,
                "shrinkB": 5,
            }
            axes.annotate("", xy=(0.5, row), xytext=(0.5, source), arrowprops=arrow)
    return figure


def boxes(model: keras.Model) -> list[Box]:
    """All layers in the order in which they run; a nested model is told before its own layers."""
    numbers: dict[int, int] = {}  # of an operation's box, by its identity
    found: list[Box] = []
    for depth, layer in _layers(model):
        sources = dict.fromkeys(numbers[id(op)] for op in _sources(layer) if id(op) in numbers)
        numbers[id(layer)] = len(found)
        found.append(Box(f"{layer.name}  ({type(layer).__name__})  {_shape(layer)}", depth, tuple(sources)))
    return found


def _layers(model: keras.Model, depth: int = 0) -> Iterator[tuple[int, Any]]:
    for layer in model.layers:
        yield depth, layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer, depth + 1)


def _sources(layer: Any) -> Iterator[Any]:
    """The operations whose outputs it takes, as Keras's own plot_model finds them."""
    for node in layer._inbound_nodes:
        for tensor in node.input_tensors:
            yield tensor._keras_history.operation


def _shape(layer: Any) -> str:
    try:
        outputs = keras.tree.flatten(layer.output)
    except (AttributeError, ValueError):  # it was never called, or for several shapes
        return ""
    return ", ".join("x".join("?" if side is None else str(side) for side in output.shape) for output in outputs)
