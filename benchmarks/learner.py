"""What `use_fast_arithmetic` brings: pictures a second that a network learns from, with it and without, in turns.

Two processes, since what it sets holds for a process: PyTorch on one thread each, TensorFlow on as many as it takes.
Under KERAS_BACKEND, by default tensorflow.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from trainer.networks.arithmetic import use_fast_arithmetic
from trainer.training.recipes import recipe_named
from trainer.training.step import Learner

ROUNDS, STEPS = 4, 4


def train(fast: bool, turns: Connection) -> None:
    """Learn STEPS batches of noise whenever told to, and answer with the seconds that it took."""
    recipe = recipe_named("selfblend-long").but(draws=1)
    if fast:
        use_fast_arithmetic(1)
    elif keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    size = recipe.architecture.size
    images = rng.integers(0, 256, (recipe.sampling.faces_a_step, size, size, 3), np.uint8)
    labels = np.arange(len(images), dtype=np.float32)[:, None] % 2
    with tempfile.TemporaryDirectory() as run:
        learner = Learner.begin(recipe, Path(run), seed=1)
        learner.learn(images, labels)  # starting is not measured
        while turns.recv():
            started = time.monotonic()
            for _ in range(STEPS):
                learner.learn(images, labels)
            turns.send(time.monotonic() - started)


def main() -> None:
    context = multiprocessing.get_context("spawn")
    ends, seconds = {}, {"without": 0.0, "with": 0.0}
    for name in seconds:
        ends[name], other = context.Pipe()
        context.Process(target=train, args=(name == "with", other), daemon=True).start()
    for turn in range(ROUNDS + 1):
        for name, end in ends.items():
            end.send(True)
            spent = end.recv()
            seconds[name] += spent if turn else 0.0  # the first turn warms up
    for end in ends.values():
        end.send(False)
    recipe = recipe_named("selfblend-long").but(draws=1)
    rates = {name: ROUNDS * STEPS * recipe.sampling.faces_a_step / spent for name, spent in seconds.items()}
    for name, rate in rates.items():
        print(f"{name:<8}{rate:.1f} pictures of {recipe.architecture.size} px a second, {keras.backend.backend()}")
    print(f"with / without: {rates['with'] / rates['without']:.2f}")


if __name__ == "__main__":
    sys.exit(main())
