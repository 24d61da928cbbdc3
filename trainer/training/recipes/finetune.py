"""Your own fakes, with self-blended ones among them so that it does not only learn yours; the head first, then all."""

from trainer.training.recipes import Mixture, Recipe

ALL = 1000  # more stages than any backbone has

RECIPE = Recipe(
    name="finetune",
    epochs=12,
    fakes=Mixture(self_blended=0.5, generated=0.2, real=0.3),
    frozen=((0, ALL), (1, 0)),
    sharpness=0.05,
    patience=4,
)
