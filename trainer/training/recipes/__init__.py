"""Training recipes: frozen dataclasses, one file each, so that a run can be repeated from its name and seed.

To add one, write a module here with `RECIPE = Recipe(name=...)`; its name is what `dfd train` takes.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from dfd_core.errors import DataError
from dfd_core.faces.blending import PARTS


@dataclass(frozen=True, slots=True)
class Degradation:
    """What happens to real and fake alike after blending; ranges are (low, high)."""

    untouched_share: float = 0.0  # of pairs: as large as they are, and nothing is done to them
    face_px: tuple[int, int] = (80, 288)  # native side of the crop, log-uniform
    codec_share: float = 0.65  # share of samples that go through a video codec
    codecs: tuple[str, ...] = ("libx264",)  # one of these; one that is named twice is drawn twice as often
    crf: tuple[int, int] = (17, 38)  # its constant rate factor; quantisers of other codecs are scaled to it
    saturation: tuple[float, float] = (1.0, 1.0)  # factor, before everything else
    jpeg_share: float = 0.2
    jpeg_quality: tuple[int, int] = (35, 95)
    rescale_share: float = 0.35  # scaled down by up to `rescale` and up again
    rescale: float = 2.2
    blur_share: float = 0.2
    blur_sigma: tuple[float, float] = (0.3, 1.3)
    noise_share: float = 0.3
    noise_sigma: tuple[float, float] = (1.0, 8.0)  # of 255
    equal_sharpness_share: float = 0.0  # of pairs of a data set: the sharper one is blurred to the other's, before
    sharpen_share: float = 0.0  # as cameras do: an unsharp mask
    smooth_share: float = 0.0  # as beauty filters do: grain away, edges kept


@dataclass(frozen=True, slots=True)
class Mixture:
    """Shares of the fakes that a batch sees; only their proportions count."""

    self_blended: float = 1.0  # made on the way of a real face
    swapped: float = 0.0  # likewise, with the face of somebody else whose landmarks are near
    lip_synced: float = 0.0  # likewise: the lower face made anew, coarser, with another mouth
    resynthesised: float = 0.0  # likewise: the whole crop as a generator would have made it
    restored: float = 0.0  # fakes of a data set that restoration networks made (dfd data fakes --kind restored)
    generated: float = 0.0  # fakes of a data set that a generator of dfd made (dfd data fakes --generator)
    real: float = 0.0  # all other fakes of a data set


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides a training run, but for the data and the seed."""

    name: str
    backbone: str = "efficientnet-lite0"
    pretrained: bool = True  # whether it starts from ImageNet weights
    modalities: int = 1  # RGB; 2 adds gray, 3 the noise residual too
    size: int = 224  # px, side of the network's input
    serving_size: int = 0  # px, of the exported one; 0: the same. A little larger helps (Touvron et al., NeurIPS 2019)
    epochs: int = 10
    steps: int = 166  # an epoch
    pairs: int = 16  # a real and a fake face each, a step
    fakes: Mixture = field(default_factory=Mixture)
    parts: tuple[str, ...] = PARTS  # of the face, one of which self-blending alters; named twice, drawn twice as often
    optimizer: str = "adamw"  # or adam
    rate: float = 6e-4  # at its peak
    one_cycle: bool = True  # warm-up and cosine; false keeps the rate as it is
    weight_decay: float = 1e-4  # of adamw
    sharpness: float = 0.0  # radius of sharpness-aware minimisation; 0 is without
    dropout: float = 0.2
    learners: int = 1  # processes that train side by side, each on `pairs` of its own, and average
    frozen: tuple[tuple[int, int], ...] = ((0, 0),)  # from epoch .. on, the first .. stages keep their weights
    label_smoothing: float = 0.05
    ema: float = 0.995  # momentum of the averaged weights, which are what is kept; 0 keeps the last
    patience: int = 0  # epochs without a better validation AUC, after which training ends; 0 never ends it early
    mixed_precision: bool = True  # bfloat16 with float32 weights
    held_out: tuple[str, ...] = ("usgov_cio", "ca_odi", "usgov_usds")  # sources of a folder that only validate
    capped: str = "us_"  # sources with this prefix fill at most half of a batch
    degradation: Degradation = field(default_factory=Degradation)

    def __post_init__(self) -> None:
        """DataError for a part that faces have no mask of."""
        unknown = sorted(set(self.parts) - set(PARTS))
        if unknown or not self.parts:
            known = ", ".join(dict.fromkeys(PARTS))
            raise DataError(f"A recipe's parts are of {known}, at least one; not {', '.join(unknown) or 'none'}.")

    def frozen_stages(self, epoch: int) -> int:
        """How many stages stand still in `epoch`, which counts from 0."""
        return [stages for start, stages in self.frozen if start <= epoch][-1]


def changed(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """The recipe with other values, each `name=value` with the value as JSON, `fakes.swapped=0.2` for a part's.

    DataError names what is wrong.
    """
    for assignment in assignments:
        name, _, text = assignment.partition("=")
        *parts, last = name.split(".")
        try:
            value = json.loads(text)
            recipe = _with(recipe, parts, last, tuple(value) if isinstance(value, list) else value)
        except (ValueError, AttributeError, TypeError):
            raise DataError(
                f"'{assignment}' is no change of a recipe: write NAME=VALUE, as epochs=4 or fakes.swapped=0.2, with a "
                f"name of {', '.join(f.name for f in fields(Recipe))} and a value of its kind."
            ) from None
    return recipe


def _with(record: Any, parts: Sequence[str], last: str, value: Any) -> Any:
    """A frozen record with one value changed; AttributeError for an unknown name, TypeError for another kind."""
    if parts:
        inner = _with(getattr(record, parts[0]), parts[1:], last, value)
        return replace(record, **{parts[0]: inner})
    old = getattr(record, last)
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(old) is not type(value):
        raise TypeError(last)
    return replace(record, **{last: value})


def recipe_names() -> list[str]:
    """The names of all recipes."""
    return list(_recipes())


def recipe_named(name: str) -> Recipe:
    """The recipe of that name; DataError names the known ones."""
    known = _recipes()
    if name not in known:
        raise DataError(f"Unknown recipe '{name}'; known are {', '.join(known)}.")
    return known[name]


def _recipes() -> dict[str, Recipe]:
    modules = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    return {module.RECIPE.name: module.RECIPE for module in modules}
