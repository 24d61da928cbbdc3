"""Prints the id of a feeder, and rests: SET"""

import multiprocessing
import pathlib
import sys
import time

from tests.fixtures_faces import noise_pool
from trainer.training.prefetch import batches
from trainer.training.recipes import recipe_named

if __name__ == "__main__":
    sampler = recipe_named("smoke").but(fakes={"real": 1.0}).sampler(noise_pool(pathlib.Path(sys.argv[1])))
    fed = batches(sampler, 1, range(1000), feeders=1)
    next(fed)
    print(multiprocessing.active_children()[0].pid, flush=True)
    time.sleep(600)
