"""Trains on so many devices, and keeps the weights: FOLDER DEVICES"""

import pathlib
import sys

import numpy as np

from tests.fixtures_faces import noise_pool
from trainer.training.loop import Machine, fit
from trainer.training.recipes import recipe_named

if __name__ == "__main__":
    folder, devices = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    recipe = recipe_named("smoke").but(fakes={"real": 1.0}, mixed_precision=False)
    machine = Machine(feeders=1, devices=devices)
    network = fit(noise_pool(folder / "noise.h5"), recipe, folder / f"run-{devices}", 1, print, machine=machine)
    np.savez(folder / f"{devices}.npz", *network.get_weights())
