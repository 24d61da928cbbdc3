"""What the weights' precision of a LiteRT file costs: size, time, distance from Keras and AUC, side by side in one run.

    python -m trainer.studies.precision --data portraits.h5 [--data restored.h5] [--model MODEL] [--draws 8]

The faces are those of the data sets' validation part: real ones, each beside a fake of every kind that the recipe
`blended-and-restored` mixes, degraded as in training at the size at which the model serves.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.metrics import roc_auc_score

from dfd_core.models.litert import LiteRuntime
from dfd_core.models.network import LOGIT, normalised
from dfd_core.models.store import KERAS_FILE, SHIPPED, read_card, verified_file
from trainer.data.face_pool import VALIDATION, pool_of
from trainer.networks.litert import PRECISIONS, to_litert
from trainer.training.recipes import recipe_named
from trainer.training.validation import validation_set

ROUNDS, CROPS = 5, 96


def main(words: Sequence[str] | None = None) -> None:
    """Convert, run and compare; print a line a precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, action="append")
    parser.add_argument("--model", type=Path, default=SHIPPED)
    parser.add_argument("--draws", type=int, default=8, help="degradations of each face (default: 8)")
    args = parser.parse_args(words)
    card = read_card(args.model)
    network = keras.saving.load_model(verified_file(args.model, card, KERAS_FILE), compile=False)
    pool = pool_of(args.data)
    recipe = recipe_named("blended-and-restored")
    held_out, steps = recipe.sampler(pool.only(pool.splits == VALIDATION), card.input.size), recipe.optimisation.steps
    images, labels = map(
        np.concatenate, zip(*(validation_set(held_out, steps, n) for n in range(args.draws)), strict=True)
    )
    given = normalised(images, card.input)
    exact = network.predict(given, batch_size=32, verbose=0)[:, 0]
    print(f"{card.name}, {len(images)} crops; Keras in float32 has an AUC of {roc_auc_score(labels, exact):.4f}")
    with tempfile.TemporaryDirectory() as folder:
        runtimes = {}
        for precision in PRECISIONS:
            path = Path(folder) / f"{precision}.tflite"
            path.write_bytes(to_litert(network, precision))
            runtimes[precision] = LiteRuntime(path, card.input, 1)
        spent = _times(runtimes, images[:CROPS])
        for precision, runtime in runtimes.items():
            logits = runtime.run(images)[LOGIT].reshape(-1)
            away = np.abs(logits - exact)
            size = (Path(folder) / f"{precision}.tflite").stat().st_size / 1e6
            print(
                f"{precision:8} {size:5.1f} MB, {spent[precision] * 1e3:5.1f} ms a crop on one core "
                f"({spent[precision] / spent['float32']:.2f} of float32), AUC {roc_auc_score(labels, logits):.4f}, "
                f"logits away by {np.median(away):.4f} in the median, {away.max():.3f} at most"
            )


def _times(runtimes: dict[str, LiteRuntime], images: np.ndarray) -> dict[str, float]:
    """Seconds a crop, the best of rounds in which all take turns."""
    best = dict.fromkeys(runtimes, np.inf)
    for _ in range(ROUNDS):
        for name, runtime in runtimes.items():
            started = time.perf_counter()
            runtime.run(images)
            best[name] = min(best[name], (time.perf_counter() - started) / len(images))
    return best


if __name__ == "__main__":
    main()
