"""What a detector is built of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

DEFAULT = "efficientnet-lite0"


@dataclass(frozen=True, slots=True)
class Architecture:
    """A trunk, what it sees and the size at which it looks."""

    backbone: str = DEFAULT
    pretrained: bool = True  # whether it starts from ImageNet weights
    modalities: int = 1  # RGB; 2 adds gray, 3 the noise residual too
    size: int = 224  # px, side of the network's input
    serving_size: int = 0  # px, of the exported one; 0: the same. A little larger helps (Touvron et al., NeurIPS 2019)
    dropout: float = 0.2

    @classmethod
    def of_run(cls, recipe: Mapping[str, Any]) -> Architecture:
        """That of the recipe in a run.json; older recipes are flat."""
        own = recipe.get("architecture", recipe)
        return cls(**{f.name: own[f.name] for f in fields(cls) if f.name in own})
