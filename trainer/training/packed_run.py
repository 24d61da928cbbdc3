"""Train for some minutes on what `trainer.training.packs` packed, on a machine that has Keras, Pillow and little else.

    KERAS_BACKEND=torch python packed_run.py PACKS/ --out OUT/ [--minutes 8] [--steps N]

This file stands alone: copy it there with the packs. All samples were drawn, degraded and encoded beforehand, so that a
GPU waits for nothing; here they are only mirrored at random. The rate falls with the time that is left; each minute the
averaged weights are measured on the held-out pack, and the best are kept in OUT/weights.npz, with OUT/history.csv.
Started again, it goes on from the best weights with the time that it is given.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PLAN, START, HELD_OUT, WEIGHTS, HISTORY = "plan.json", "start.keras", "held-out.npz", "weights.npz", "history.csv"
COLUMNS = ("step", "epoch", "loss", "validation_auc", "images_per_s")
_WARM_UP = 0.05  # share of the time in which the rate rises
_MEASURE_S = 60.0
Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.float32]


def main() -> None:
    """Read the packs, train until the time or the steps are over, keep the best weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument(
        "--steps", type=int, default=0, help="end after so many, whatever time is left (default: never)"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    files = sorted(args.packs.glob("pack-*.npz"))
    if not files or not (args.packs / START).is_file():
        sys.exit(f"{args.packs} holds no packs: make them with 'python -m trainer.training.packs pack'.")
    parts = [read_pack(path) for path in files]
    images, labels = (np.concatenate(side) for side in zip(*parts, strict=True))
    print(f"{len(labels)} pictures in {len(files)} packs", flush=True)
    Run(args.packs, args.out).train(images, labels, args.minutes * 60, args.steps or sys.maxsize)


def read_pack(path: Path) -> tuple[Images, Labels]:
    """The pictures of a pack, uint8 (N, S, S, 3) RGB, and their labels float32 (N,), 1 for fake; pairs lie together."""
    from PIL import Image

    with np.load(path) as pack:
        data, ends, labels = pack["data"].tobytes(), pack["ends"].tolist(), pack["labels"]
    bounds = list(zip([0, *ends[:-1]], ends, strict=True))
    with ThreadPoolExecutor() as pool:
        pictures = pool.map(lambda at: np.asarray(Image.open(io.BytesIO(data[at[0] : at[1]])).convert("RGB")), bounds)
        return np.stack(list(pictures)), labels.astype(np.float32)


class Run:
    """A network in training, and what is kept of it."""

    def __init__(self, packs: Path, out: Path) -> None:
        import keras

        self.out, self.plan = out, json.loads((packs / PLAN).read_text())
        keras.utils.set_random_seed(self.plan["seed"])
        self.model = keras.models.load_model(packs / START, compile=False)
        self.best = -1.0
        if (out / WEIGHTS).is_file():
            with np.load(out / WEIGHTS) as kept:
                self.model.set_weights([kept[f"{n:04d}"] for n in range(len(kept.files))])
            self.best = max(float(row["validation_auc"]) for row in self._history())
        optimizer = keras.optimizers.AdamW(0.0, weight_decay=self.plan["weight_decay"], clipnorm=1.0)
        self.model.compile(optimizer=optimizer, loss=keras.losses.BinaryCrossentropy(from_logits=True))
        self.average = [np.array(weight) for weight in self.model.get_weights()]
        self.held_out = read_pack(packs / HELD_OUT)

    def train(self, images: Images, labels: Labels, seconds: float, most: int) -> None:
        """Learn pairs in random order for so long, or so many steps."""
        rng, pairs, batch = np.random.default_rng(self.plan["seed"]), len(labels) // 2, self.plan["pairs"]
        begun = measured = time.monotonic()
        order, losses, step = rng.permutation(pairs), list[float](), 0
        while (now := time.monotonic()) - begun < seconds and step < most:
            if len(order) < batch:
                order = rng.permutation(pairs)
            chosen, order = order[:batch], order[batch:]
            rows = np.stack([2 * chosen, 2 * chosen + 1], axis=1).ravel()
            self.model.optimizer.learning_rate = self.plan["rate"] * _share(max((now - begun) / seconds, step / most))
            losses.append(self._learn(images[rows], labels[rows], rng))
            step += 1
            if now - measured > _MEASURE_S:
                self._measure(step, losses, step * 2 * batch / (time.monotonic() - begun))
                measured, losses = time.monotonic(), []
        if losses:
            self._measure(step, losses, step * 2 * batch / (time.monotonic() - begun))

    def _learn(self, images: Images, labels: Labels, rng: np.random.Generator) -> float:
        mirrored = np.repeat(rng.random(len(labels) // 2) < 0.5, 2)  # both of a pair alike
        given = images.astype(np.float32)
        given[mirrored] = given[mirrored, :, ::-1]
        smooth = labels[:, None] * (1 - 2 * self.plan["label_smoothing"]) + self.plan["label_smoothing"]
        loss = float(self.model.train_on_batch(given, smooth))
        if not math.isfinite(loss):
            sys.exit("The loss is not finite: pack again with a lower rate; the best weights so far are kept.")
        old, weights = self.plan["ema"], self.model.get_weights()
        self.average = [old * kept + (1 - old) * weight for kept, weight in zip(self.average, weights, strict=True)]
        return loss

    def _measure(self, step: int, losses: list[float], rate: float) -> None:
        """The averaged weights on held-out pairs: a row, and the weights themselves where they are the best yet."""
        images, labels = self.held_out
        trained = self.model.get_weights()
        self.model.set_weights(self.average)
        parts = [self.model.predict_on_batch(images[n : n + 64].astype(np.float32)) for n in range(0, len(images), 64)]
        self.model.set_weights(trained)
        auc, rows = _auc(labels, np.concatenate(parts)[:, 0]), self._history()
        row = (step, len(rows) + 1, round(float(np.mean(losses)), 5), round(auc, 5), round(rate, 1))
        with (self.out / HISTORY).open("a", newline="") as handle:
            csv.writer(handle).writerows([COLUMNS, row] if not rows else [row])
        print(dict(zip(COLUMNS, row, strict=True)), flush=True)
        if auc > self.best:
            self.best = auc
            part = self.out / "part.npz"
            np.savez(part, **{f"{n:04d}": weight for n, weight in enumerate(self.average)})  # type: ignore[arg-type]
            part.replace(self.out / WEIGHTS)

    def _history(self) -> list[dict[str, Any]]:
        if not (self.out / HISTORY).is_file():
            return []
        with (self.out / HISTORY).open(newline="") as handle:
            return list(csv.DictReader(handle))


def _share(done: float) -> float:
    """Of the peak rate: rises to it, then falls as a cosine."""
    if done < _WARM_UP:
        return max(done, 0.01) / _WARM_UP
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - _WARM_UP) / (1 - _WARM_UP))))


def _auc(labels: Labels, scores: npt.NDArray[Any]) -> float:
    """Mann and Whitney's: the share of pairs in which the fake has the higher score, ties by half."""
    fakes, reals = scores[labels > 0.5][:, None], scores[labels < 0.5][None]
    return float((fakes > reals).mean() + 0.5 * (fakes == reals).mean())


if __name__ == "__main__":
    main()
