"""Self-blended images in about a quarter of an hour on two cores: a first look at new data."""

from trainer.fakes.sampling import Sampling
from trainer.networks.architecture import Architecture
from trainer.training.optimisation import Optimisation
from trainer.training.recipes import Recipe

RECIPE = Recipe(
    name="selfblend-short",
    architecture=Architecture(size=160, serving_size=192),
    optimisation=Optimisation(epochs=4, steps=150, frozen=((0, 2),), ema=0.98),
    sampling=Sampling(pairs=12, draws=2, parts=("face", "face", "inner", "inner", "lower")),
)
