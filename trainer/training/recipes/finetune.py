"""Your own fakes, with self-blended ones among them so that it does not only learn yours; the head first, then all."""

from trainer.fakes.sampling import Sampling
from trainer.training.optimisation import Optimisation
from trainer.training.recipes import Recipe

ALL = 1000  # more stages than any backbone has

RECIPE = Recipe(
    name="finetune",
    optimisation=Optimisation(epochs=12, frozen=((0, ALL), (1, 0)), sharpness=0.05, patience=4),
    sampling=Sampling(fakes={"self_blended": 0.5, "generated": 0.2, "real": 0.3}),
)
