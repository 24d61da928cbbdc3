"""Self-blended images in about an hour on two cores: three times as long as selfblend-short."""

from trainer.recipes import Recipe

RECIPE = Recipe(
    name="selfblend-long",
    size=160,
    serving_size=192,
    epochs=12,
    steps=150,
    pairs=12,
    learners=2,
    frozen=((0, 2),),
    ema=0.99,
)
