"""Draws docs/demo.png: the demo's stream, and what the shipped detector says of it: python docs/make_picture.py"""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np

from dfd_core.faces.finder import FaceFinder
from dfd_core.faces.windows import SegmentBuilder, WindowSlider
from dfd_core.judging.scoring import load_scorer
from dfd_core.media import read_frames
from dfd_core.settings import Settings
from ingest.sources.synthetic import Scene, render_synthetic

mpl.use("Agg")
from matplotlib import pyplot as plt

SCENE = Scene(duration=24.0, fake_from=14.0, size=(960, 540), fps=16)
SHOWN_S = (4.0, 12.0, 16.0, 22.0)


def main() -> None:
    settings = Settings()
    scorer = load_scorer(settings)
    builder = SegmentBuilder("demo", FaceFinder(settings.faces), settings.faces, settings.windows)
    slider = WindowSlider(settings.windows)
    pictures, times, probabilities = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "demo.mp4"
        render_synthetic(path, SCENE)
        for frame in read_frames(str(path), "demo", settings.video):
            if len(pictures) < len(SHOWN_S) and frame.time_s >= SHOWN_S[len(pictures)]:
                pictures.append(frame.image[60:420, 300:660])
            for segment in builder.push(frame):
                ((result, _),) = scorer.score([slider.push(segment).segments])
                times += [result.end_s for score in result.scores]
                probabilities += [score.fake_probability for score in result.scores]
    figure, axes = plt.subplot_mosaic(
        [["0", "1", "2", "3"], ["curve"] * 4], figsize=(8, 4.2), height_ratios=[1.25, 1], layout="constrained"
    )
    for number, (picture, time_s) in enumerate(zip(pictures, SHOWN_S, strict=True)):
        axes[str(number)].imshow(picture)
        axes[str(number)].set_title(f"{time_s:.0f} s, {'fake' if time_s >= SCENE.fake_from else 'real'}", fontsize=9)
        axes[str(number)].axis("off")
    curve = axes["curve"]
    curve.plot(times, np.array(probabilities, float), "k.-", linewidth=1)
    curve.axhline(scorer.thresholds.enter, color="tab:red", linewidth=0.8, linestyle="--", label="alarm above")
    curve.axvspan(SCENE.fake_from, SCENE.duration, color="tab:red", alpha=0.12, linewidth=0, label="truly fake")
    curve.set(xlim=(0, SCENE.duration), ylim=(0, 1), xlabel="seconds", ylabel="fake probability")
    curve.legend(loc="upper left", fontsize=8)
    figure.savefig(Path(__file__).parent / "demo.png", dpi=110)


if __name__ == "__main__":
    main()
