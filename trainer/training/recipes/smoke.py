"""Shows in a minute that everything works, and detects nothing."""

from trainer.fakes.sampling import Sampling
from trainer.networks.architecture import Architecture
from trainer.training.optimisation import Optimisation
from trainer.training.recipes import Recipe

RECIPE = Recipe(
    name="smoke",
    architecture=Architecture(backbone="plain", pretrained=False, size=64),
    optimisation=Optimisation(epochs=1, steps=2),
    sampling=Sampling(pairs=2),
)
