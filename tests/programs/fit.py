"""A tiny run, which goes on where it stopped; one with patience learns nothing: FOLDER EPOCHS PATIENCE"""

import pathlib
import sys

from tests.fixtures_faces import noise_pool
from trainer.networks.serving import as_served
from trainer.training.loop import Machine, fit, set_thresholds
from trainer.training.recipes import recipe_named

if __name__ == "__main__":
    folder, epochs, patience = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    recipe = recipe_named("smoke").but(fakes={"real": 1.0}, epochs=epochs, patience=patience, serving_size=96)
    recipe = recipe.but(steps=1, rate=0.0, one_cycle=False, weight_decay=0.0) if patience else recipe.but(steps=2)
    best = fit(noise_pool(folder / "noise.h5"), recipe, folder / "run", 1, print, machine=Machine(feeders=1))
    set_thresholds(noise_pool(folder / "noise.h5"), recipe, folder / "run", 1, best, report=print)
    served = as_served(best, recipe.architecture)
    assert (best.input_shape[1], served.input_shape[1]) == (96, 96)
    assert (folder / "run" / "thresholds.json").is_file()
