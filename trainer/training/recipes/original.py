"""What the notebook that dfd grew from set, on an honest split: Adam at 1e-3, batch 32, 10 epochs, gray."""

from trainer.fakes.sampling import Sampling
from trainer.networks.architecture import Architecture
from trainer.training.optimisation import Optimisation
from trainer.training.recipes import Recipe

RECIPE = Recipe(
    name="original",
    architecture=Architecture(modalities=2, size=128),
    optimisation=Optimisation(
        epochs=10,
        steps=60,
        optimizer="adam",
        rate=1e-3,
        one_cycle=False,
        label_smoothing=0.0,
        ema=0.0,
        mixed_precision=False,
    ),
    sampling=Sampling(pairs=16, fakes={"real": 1.0}),
)
