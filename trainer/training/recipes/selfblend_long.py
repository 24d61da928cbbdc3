"""The shipped detector: self-blended images, three times as long as selfblend-short, 45 minutes on two cores."""

from dataclasses import replace

from trainer.training.recipes.selfblend_short import RECIPE as SHORT

RECIPE = replace(SHORT, name="selfblend-long", epochs=12, ema=0.99)
