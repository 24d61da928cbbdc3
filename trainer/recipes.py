"""Training recipes: frozen dataclasses, by name, so that a run can be repeated from its name and seed."""

from __future__ import annotations

from dataclasses import dataclass, field

from dfd_core.errors import DataError


@dataclass(frozen=True, slots=True)
class Degradation:
    """What happens to real and fake alike after blending; ranges are (low, high)."""

    face_px: tuple[int, int] = (80, 288)  # native side of the crop, log-uniform
    codec_share: float = 0.65  # share of samples that go through H.264
    crf: tuple[int, int] = (17, 38)  # its constant rate factor
    jpeg_share: float = 0.2
    jpeg_quality: tuple[int, int] = (35, 95)
    rescale_share: float = 0.35  # scaled down by up to `rescale` and up again
    rescale: float = 2.2
    blur_share: float = 0.2
    blur_sigma: tuple[float, float] = (0.3, 1.3)
    noise_share: float = 0.3
    noise_sigma: tuple[float, float] = (1.0, 8.0)  # of 255


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides a training run, but for the data and the seed."""

    name: str
    size: int = 224  # px, side of the network's input
    epochs: int = 10
    steps: int = 166  # an epoch
    pairs: int = 16  # real and fake of the same picture, a step
    peak_rate: float = 6e-4  # of AdamW, one cycle
    weight_decay: float = 1e-4
    dropout: float = 0.2
    learners: int = 1  # processes that train side by side, each on `pairs` of its own, and average
    frozen: int = 0  # the stem and this many blocks keep their ImageNet weights
    label_smoothing: float = 0.05
    ema: float = 0.995  # momentum of the averaged weights, which are what is kept
    held_out: tuple[str, ...] = ("usgov_cio", "ca_odi", "usgov_usds")  # sources that only validate
    capped: str = "us_"  # sources with this prefix fill at most half of a batch
    degradation: Degradation = field(default_factory=Degradation)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="selfblend"),
        Recipe(name="selfblend-short", size=160, epochs=3, steps=150, pairs=12, learners=2, frozen=1, ema=0.98),
        Recipe(name="smoke", size=64, epochs=1, steps=2, pairs=2),  # shows in a minute that everything works
    )
}


def recipe_named(name: str) -> Recipe:
    """The recipe of that name; DataError names the known ones."""
    if name not in RECIPES:
        raise DataError(f"Unknown recipe '{name}'; known are {', '.join(RECIPES)}.")
    return RECIPES[name]
