"""What a run tells on its way: lines, history.csv, curves.png, TensorBoard's events, thresholds at the end."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
from sklearn.metrics import roc_auc_score

from dfd_core.types import Float32Array, Thresholds, UInt8Array
from trainer.training.recipes import Recipe

HISTORY = "history.csv"
CURVES = "curves.png"
THRESHOLDS = "thresholds.json"
_COLUMNS = ("step", "epoch", "loss", "validation_auc", "images_per_s")


class RunLog:
    """A line every ten steps, and at the end of each epoch a row of history, a picture and an event."""

    def __init__(
        self,
        run: Path,
        recipe: Recipe,
        steps: range,
        validation: tuple[UInt8Array, Float32Array],
        report: Callable[[str], None],
    ) -> None:
        self.run, self.recipe, self.steps, self.validation, self.report = run, recipe, steps, validation, report
        self.losses: list[float] = []
        self.started = time.monotonic()

    def note(self, step: int, loss: float) -> None:
        """One step is done."""
        self.losses.append(loss)
        if step % 10 == 0 or step == self.steps.stop:
            mean = np.mean(self.losses[-50:])
            self.report(f"step {step}/{self.steps.stop}  loss {mean:.4f}  {self._rate(step):.1f} images/s")

    def end_epoch(self, step: int, averaged: keras.Model) -> bool:
        """Measure the averaged weights on the held-out pairs, and keep a row of it; whether they are the best yet."""
        images, labels = self.validation
        auc, loss = float(roc_auc_score(labels[:, 0], scores_of(averaged, images))), float(np.mean(self.losses))
        epoch = step // self.recipe.optimisation.steps
        best = auc > max((row["validation_auc"] for row in read_history(self.run) if row["step"] < step), default=-1)
        _append(self.run / HISTORY, (step, epoch, loss, auc, self._rate(step)))
        draw_curves(self.run)
        write_events(self.run, step, {"loss": loss, "validation_auc": auc})
        self.report(f"epoch {epoch}/{self.recipe.optimisation.epochs}  loss {loss:.4f}  held-out AUC {auc:.4f}")
        self.losses.clear()
        return best

    def is_over(self) -> bool:
        """Whether the recipe's patience is at its end."""
        aucs = [row["validation_auc"] for row in read_history(self.run)]
        patience = self.recipe.optimisation.patience
        over = bool(patience) and len(aucs) > patience and max(aucs[-patience:]) <= max(aucs[:-patience])
        if over:
            self.report(f"no better held-out AUC in {patience} epochs: this is the end")
        return over

    def _rate(self, step: int) -> float:
        images = (step - self.steps.start) * self.recipe.sampling.faces_a_step
        return images / (time.monotonic() - self.started)


def keep_thresholds(run: Path, served: keras.Model, reals: UInt8Array, report: Callable[[str], None]) -> None:
    """Write the thresholds of a run's network, as it serves, from held-out real pictures (N, S, S, 3)."""
    thresholds = thresholds_from(scores_of(served, reals))
    (run / THRESHOLDS).write_text(json.dumps(asdict(thresholds)) + "\n", encoding="utf-8")
    report(f"an alarm begins at {thresholds.enter} and ends below {thresholds.exit}")


def thresholds_from(logits: Float32Array) -> Thresholds:
    """Thresholds from the logits (N,) of held-out real pictures: 5 % of them are above `enter`, 7.5 % above `exit`.

    A window averages many frames, so of windows it is fewer, as long as the video is like the pictures.
    """
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
    enter, exit_ = np.quantile(probabilities, (0.95, 0.925))
    return Thresholds(enter=round(float(enter), 3), exit=round(float(exit_), 3))


def scores_of(model: keras.Model, images: UInt8Array) -> Float32Array:
    """Logits float32 (N,) of pictures uint8 (N, S, S, 3)."""
    parts = [model.predict_on_batch(images[n : n + 32].astype(np.float32)) for n in range(0, len(images), 32)]
    return np.concatenate(parts)[:, 0].astype(np.float32)


def read_history(run: Path) -> list[dict[str, float]]:
    """The rows of a run's history.csv so far."""
    path = run / HISTORY
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as handle:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(handle)]


def draw_curves(run: Path) -> None:
    """Draw loss and validation AUC over the steps of `run` into curves.png."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_history(run)
    figure = Figure(figsize=(8, 3), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "validation_auc"), strict=True):
        axes.plot([row["step"] for row in rows], [row[name] for row in rows], marker=".")
        axes.set(xlabel="step", title=name.replace("_", " "))
    FigureCanvasAgg(figure).print_png(str(run / CURVES))


def write_events(run: Path, step: int, values: dict[str, float]) -> None:
    """Add scalars to what `tensorboard --logdir RUN` shows; nothing where TensorBoard is not installed.

    One file a step. TensorBoard's own writer of files would import TensorFlow, whatever backend trains.
    """
    with suppress(ImportError):
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        now = time.time()
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
        with (run / f"events.out.tfevents.{now:.6f}.{step:08d}").open("wb") as file:
            writer = RecordWriter(file)
            for event in (
                Event(wall_time=now, file_version="brain.Event:2"),
                Event(wall_time=now, step=step, summary=summary),
            ):
                writer.write(event.SerializeToString())


def _append(path: Path, row: tuple[float, ...]) -> None:
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        if fresh:
            writer.writerow(_COLUMNS)
        writer.writerow([f"{value:.5g}" if isinstance(value, float) else value for value in row])
