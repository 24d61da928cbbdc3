"""Draws docs/demo.png: the demo's stream, and what the shipped detector says of it: python deploy/demo_picture.py"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dfd_core.faces.finder import FaceFinder
from dfd_core.faces.windows import SegmentBuilder, WindowSlider
from dfd_core.judging.scoring import Scorer, load_scorer
from dfd_core.media import read_frames
from dfd_core.settings import Settings
from dfd_core.types import UInt8Array
from ingest.sources.synthetic import Scene, render_synthetic

FAKE_FROM, SHOWN = 14 / 24, (4 / 24, 12 / 24, 16 / 24, 22 / 24)  # of the stream


@dataclass(slots=True)
class Seen:
    """Pictures uint8 (360, 360, 3) of the stream, and probabilities at the ends of its windows, media seconds."""

    pictures: list[UInt8Array] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    probabilities: list[float | None] = field(default_factory=list)


def main(words: Sequence[str] | None = None) -> None:
    """Render, score and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "demo.png")
    parser.add_argument("--seconds", type=float, default=24.0, help="of the stream (default: 24)")
    args = parser.parse_args(words)
    scene = Scene(duration=args.seconds, fake_from=args.seconds * FAKE_FROM, size=(960, 540), fps=16)
    scorer = load_scorer(Settings())
    figure = draw(look(scene, scorer), scene, scorer.thresholds.enter)
    figure.savefig(args.out, dpi=110)


def look(scene: Scene, scorer: Scorer) -> Seen:
    """The stream as `dfd scan` sees it."""
    settings, seen = Settings(), Seen()
    builder = SegmentBuilder("demo", FaceFinder(settings.faces), settings.faces, settings.windows)
    slider = WindowSlider(settings.windows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "demo.mp4"
        render_synthetic(path, scene)
        for frame in read_frames(str(path), "demo", settings.video):
            shown = len(seen.pictures)
            if shown < len(SHOWN) and frame.time_s >= SHOWN[shown] * scene.duration:
                seen.pictures.append(frame.image[60:420, 300:660])
            for segment in builder.push(frame):
                ((result, _),) = scorer.score([slider.push(segment).segments])
                seen.times_s += [result.end_s for score in result.scores]
                seen.probabilities += [score.fake_probability for score in result.scores]
    return seen


def draw(seen: Seen, scene: Scene, enter: float) -> Figure:
    """The pictures above, the curve below."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplot_mosaic([["0", "1", "2", "3"], ["curve"] * 4], height_ratios=[1.25, 1])
    for number, picture in enumerate(seen.pictures):
        time_s = SHOWN[number] * scene.duration
        axes[str(number)].imshow(picture)
        axes[str(number)].set_title(f"{time_s:.0f} s, {'fake' if time_s >= scene.fake_from else 'real'}", fontsize=9)
        axes[str(number)].axis("off")
    curve = axes["curve"]
    curve.plot(seen.times_s, np.array(seen.probabilities, float), "k.-", linewidth=1)
    curve.axhline(enter, color="tab:red", linewidth=0.8, linestyle="--", label="alarm above")
    curve.axvspan(scene.fake_from, scene.duration, color="tab:red", alpha=0.12, linewidth=0, label="truly fake")
    curve.set(xlim=(0, scene.duration), ylim=(0, 1), xlabel="seconds", ylabel="fake probability")
    curve.legend(loc="upper left", fontsize=8)
    return figure


if __name__ == "__main__":
    main()
