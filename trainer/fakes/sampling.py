"""What decides the samples of a run, but for its faces and its seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dfd_core.errors import DataError
from dfd_core.faces.blending import PARTS
from trainer.fakes.degrade import Degradation
from trainer.fakes.kinds import fake_named


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which real and fake faces a step shows, and how they are degraded."""

    pairs: int = 16  # a real and a fake face each, a draw
    draws: int = 1  # a step
    fakes: Mapping[str, float] = field(default_factory=lambda: {"self_blended": 1.0})  # shares by kind, in proportion
    parts: tuple[str, ...] = PARTS  # of the face, one of which self-blending alters; named twice, drawn twice as often
    held_out: tuple[str, ...] = ("usgov_cio", "ca_odi", "usgov_usds")  # sources of a folder that only validate
    capped: str = "us_"  # sources with this prefix fill at most half of a batch
    degradation: Degradation = field(default_factory=Degradation)

    def __post_init__(self) -> None:
        """DataError for a part that faces have no mask of, and for a kind of fake that nobody makes."""
        unknown = sorted(set(self.parts) - set(PARTS))
        if unknown or not self.parts:
            known = ", ".join(dict.fromkeys(PARTS))
            raise DataError(f"A recipe's parts are of {known}, at least one; not {', '.join(unknown) or 'none'}.")
        for kind in self.fakes:
            fake_named(kind)

    @property
    def faces_a_step(self) -> int:
        """Real and fake ones together."""
        return 2 * self.pairs * self.draws
