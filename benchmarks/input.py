"""Does training wait for the disk? Steps a second from an HDF5 data set against the same faces held in memory.

Both train the same network on the same batches, in turns, in one run; made once from the public-domain portrait.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import matplotlib
import numpy as np

from dfd_core.settings import Settings
from trainer.data.dataset import DatasetWriter, FileRow, Header
from trainer.data.extract import Extraction, Extractor
from trainer.data.face_pool import FacePool, Picture, pool_of
from trainer.data.layouts import LabelledFile
from trainer.networks.arithmetic import use_fast_arithmetic
from trainer.training.prefetch import batches
from trainer.training.recipes import recipe_named
from trainer.training.step import Learner

WINDOWS, FRAMES, ROUNDS, STEPS = 96, 16, 3, 8
MEASURED = ("present", "boxes", "mesh", "landmarks", "quantisers")  # of each frame


class Memory:
    """The pictures of another source, all frames of them, kept in memory."""

    def __init__(self, pool: FacePool) -> None:
        self._frames = [[pool.read(n, (k + 0.5) / FRAMES) for k in range(FRAMES)] for n in range(len(pool))]

    def read(self, number: int, moment: float) -> Picture:
        """See `Pictures`."""
        return self._frames[number][int(moment * FRAMES)]


def make_set(path: Path) -> None:
    portrait = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    picture = path.with_suffix(".png")
    cv2.imwrite(str(picture), cv2.resize(cv2.imread(str(portrait)), None, fx=1.5, fy=1.5))
    still = Extractor(Settings(), Extraction(1, 1)).windows_of(LabelledFile(picture, False, ()))[0]
    side, rng = still.crops.shape[1], np.random.default_rng(1)
    with DatasetWriter(path, Header(side, FRAMES, 8.0, "folders", "group")) as writer:
        for n in range(WINDOWS):
            noise = rng.normal(0, 4, (FRAMES, side, side, 3))
            crops = np.clip(still.crops + noise, 0, 255).astype(np.uint8)
            repeated = {name: np.repeat(getattr(still, name), FRAMES, axis=0) for name in MEASURED}
            window = replace(still, crops=crops, times_s=np.arange(FRAMES) / 8, **repeated)
            file = writer.add_file(FileRow(f"{n}.mp4", (str(n),)))
            writer.add(window, file, False, "train" if n < WINDOWS - 8 else "validation")
        writer.close()


def main() -> None:
    use_fast_arithmetic(threads=1)
    recipe = recipe_named("selfblend-short").but(draws=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.h5"
        make_set(path)
        disk = pool_of([path])
        pools = {"memory": replace(disk, pictures=Memory(disk)), "HDF5": disk}
        learner, steps = Learner.begin(recipe, Path(folder) / "run", seed=1), range(ROUNDS * STEPS + 1)
        feeds = {name: batches(recipe.sampler(pool), 1, steps, feeders=1) for name, pool in pools.items()}
        for feed in feeds.values():
            learner.learn(*next(feed))  # starting is not measured
        seconds = dict.fromkeys(pools, 0.0)
        for _ in range(ROUNDS):
            for name, feed in feeds.items():
                started = time.monotonic()
                for images, labels in itertools.islice(feed, STEPS):
                    learner.learn(images, labels)
                seconds[name] += time.monotonic() - started
    rates = {name: ROUNDS * STEPS / spent for name, spent in seconds.items()}
    for name, rate in rates.items():
        print(
            f"{name:<8}{rate:.3f} steps/s of {recipe.sampling.faces_a_step} pictures of {recipe.architecture.size} px"
        )
    print(f"HDF5 / memory: {rates['HDF5'] / rates['memory']:.2f}")


if __name__ == "__main__":
    sys.exit(main())
