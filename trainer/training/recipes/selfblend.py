"""Self-blended images (Shiohara and Yamasaki, CVPR 2022, arXiv:2204.08376) at 224 px: the full length."""

from trainer.training.recipes import Recipe

RECIPE = Recipe(name="selfblend")
