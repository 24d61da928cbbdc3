"""A search that is interrupted goes on, and what it finds is exported: SET RUN MODEL"""

import pathlib
import sys

import numpy as np

from dfd_core.cli.main import main
from dfd_core.models.runtime import open_runtime
from trainer.networks.found import load_best
from trainer.search.tuner import Tuner

data, run, model = sys.argv[1:]
facts = pathlib.Path(run) / "trials" / "trial_0" / "facts.json"


def search(*more):
    fixed = ["--backbones", "plain", "--size", "64", "--epochs", "1", "--batch", "4"]
    return main(["search", "--data", data, "--out", run, *fixed, *more])


def die(self, trial, *_, **__):
    if trial.trial_id == "1":
        raise KeyboardInterrupt


whole, Tuner.on_epoch_end = Tuner.on_epoch_end, die
assert search() == 130
Tuner.on_epoch_end = whole
written = facts.stat().st_mtime_ns
assert search() == 0
assert facts.stat().st_mtime_ns == written  # the first trial stands
assert search("--seed", "2") == 1
assert main(["export", run, "--out", model]) == 0
best, legacy = load_best(pathlib.Path(run)), load_best(pathlib.Path(run, "best_model.h5"))
images = np.random.default_rng(1).integers(0, 256, (5, 64, 64, 3), np.uint8)
fake = np.asarray(best(images, training=False))[:, 0]
assert np.abs(np.asarray(legacy(images, training=False))[:, 0] - fake).max() < 1e-6
for runtime in ("litert", "keras"):
    logit = open_runtime(pathlib.Path(model), runtime).run(images)["logit"][:, 0]
    assert np.abs(1 / (1 + np.exp(-logit)) - fake).max() < 5e-3, runtime
