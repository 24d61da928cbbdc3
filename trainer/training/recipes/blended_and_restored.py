"""Restored faces and generated portraits besides blended ones; measured in docs/model-card.md, and not shipped."""

from trainer.training.recipes.blended import RECIPE as BLENDED

RECIPE = BLENDED.but(
    name="blended-and-restored",
    epochs=18,
    fakes={"self_blended": 0.45, "swapped": 0.15, "restored": 0.28, "real": 0.12},
)
