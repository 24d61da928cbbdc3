"""Training recipes: frozen dataclasses, one file each, so that a run can be repeated from its name and seed.

To add one, write a module here with `RECIPE = Recipe(name=...)`; its name is what `dfd train` takes.
"""

from __future__ import annotations

import importlib
import json
import math
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from dfd_core.errors import DataError
from trainer.data.face_pool import FacePool
from trainer.fakes.kinds import IN_PAIRS
from trainer.fakes.sampler import Sampler
from trainer.fakes.sampling import Sampling
from trainer.networks.architecture import Architecture
from trainer.training.optimisation import Optimisation


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides a training run, but for the data and the seed."""

    name: str
    architecture: Architecture = field(default_factory=Architecture)
    optimisation: Optimisation = field(default_factory=Optimisation)
    sampling: Sampling = field(default_factory=Sampling)

    def sampler(self, pool: FacePool, size: int | None = None) -> Sampler:
        """What draws its samples from a pool, as the network looks at them, or at `size` px."""
        return Sampler(pool, self.sampling, size or self.architecture.size)

    def but(self, **values: Any) -> Recipe:
        """The recipe with other values, by name, whichever of its parts they are of: `but(epochs=4, size=96)`."""
        recipe = self
        for name, value in values.items():
            recipe = _with(recipe, _path(name), value)
        return recipe


def changed(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """The recipe with other values, each `name=value` with the value as JSON, `fakes.swapped=0.2` for a part's.

    DataError names what is wrong.
    """
    for assignment in assignments:
        name, _, text = assignment.partition("=")
        try:
            value = json.loads(text)
            recipe = _with(recipe, _path(name), tuple(value) if isinstance(value, list) else value)
        except (ValueError, AttributeError, TypeError):
            raise DataError(
                f"'{assignment}' is no change of a recipe: write NAME=VALUE, as epochs=4 or fakes.swapped=0.2, with a "
                f"name of {', '.join(_PART_OF)} and a value of its kind."
            ) from None
    return recipe


_PART_OF = {
    f.name: part
    for part, of in (("architecture", Architecture), ("optimisation", Optimisation), ("sampling", Sampling))
    for f in fields(of)
}
_COUNTED = frozenset({"epochs", "steps", "size", "pairs", "draws", "modalities"})  # there must be one at least
_FORMER = {"learners": "draws"}  # names in older recipes


def _path(name: str) -> list[str]:
    """The way to a value from the recipe on; parts may be left out."""
    first, *rest = name.split(".")
    first = _FORMER.get(first, first)
    return [*([_PART_OF[first]] if first in _PART_OF else []), first, *rest]


def _with(record: Any, path: Sequence[str], value: Any) -> Any:
    """A frozen record with one value changed; AttributeError for an unknown name, TypeError for another kind."""
    name, *rest = path
    if isinstance(record, Mapping):  # the shares of fakes
        if rest or name not in {kind.name for kind in IN_PAIRS}:
            raise AttributeError(name)
        return {**record, name: _like(0.0, value)}
    old = getattr(record, name)
    if name in _COUNTED and value == 0:
        raise ValueError(name)
    return replace(record, **{name: _with(old, rest, value) if rest else _like(old, value)})


def _like(old: Any, value: Any) -> Any:
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(old) is not type(value):
        raise TypeError(type(old))
    if isinstance(value, int | float) and not 0 <= value < math.inf:  # nor NaN
        raise ValueError(value)
    return value


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
