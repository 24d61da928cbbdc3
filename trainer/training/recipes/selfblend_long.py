"""The shipped detector: self-blended images, three times as long as selfblend-short, 45 minutes on two cores."""

from trainer.training.recipes.selfblend_short import RECIPE as SHORT

RECIPE = SHORT.but(name="selfblend-long", epochs=12, ema=0.99)
