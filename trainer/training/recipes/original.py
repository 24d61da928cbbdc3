"""What the notebook that dfd grew from set, on an honest split: Adam at 1e-3, batch 32, 10 epochs, gray."""

from trainer.training.recipes import Mixture, Recipe

RECIPE = Recipe(
    name="original",
    modalities=2,
    size=128,
    epochs=10,
    steps=60,
    pairs=16,
    fakes=Mixture(self_blended=0.0, real=1.0),
    optimizer="adam",
    rate=1e-3,
    one_cycle=False,
    label_smoothing=0.0,
    ema=0.0,
    mixed_precision=False,
)
