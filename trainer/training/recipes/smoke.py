"""Shows in a minute that everything works, and detects nothing."""

from trainer.training.recipes import Recipe

RECIPE = Recipe(name="smoke", backbone="plain", pretrained=False, size=64, epochs=1, steps=2, pairs=2)
