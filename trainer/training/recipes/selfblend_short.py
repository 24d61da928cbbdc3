"""Self-blended images in about a quarter of an hour on two cores: a first look at new data."""

from trainer.training.recipes import Recipe

RECIPE = Recipe(
    name="selfblend-short",
    size=160,
    serving_size=192,
    epochs=4,
    steps=150,
    pairs=12,
    learners=2,
    frozen=((0, 2),),
    ema=0.98,
    parts=("face", "face", "inner", "inner", "lower"),
)
