"""Kinds of fakes, one file each: in pairs of a real face and its fake, and in the frames of clips.

To add one, write a module with a class of the Protocol `Fake`, of `FilmedFake`, or of both (see `kind.py`), and list it
here; its share in a recipe is `fakes={"its_name": 0.2}`. New ones go to the end: seeds draw kinds in this order.
"""

from __future__ import annotations

from dfd_core.errors import DataError
from trainer.fakes.kinds import found
from trainer.fakes.kinds.frozen import Frozen
from trainer.fakes.kinds.kind import Fake, FilmedFake
from trainer.fakes.kinds.lip_synced import LipSynced
from trainer.fakes.kinds.resynthesised import Resynthesised
from trainer.fakes.kinds.self_blended import SelfBlended
from trainer.fakes.kinds.swapped import Swapped

IN_PAIRS: tuple[Fake, ...] = (SelfBlended(), Swapped(), LipSynced(), Resynthesised(), *found.ALL)
IN_CLIPS: tuple[FilmedFake, ...] = (SelfBlended(), Swapped(), Frozen(), LipSynced())

MADE = tuple(kind.name for kind in IN_PAIRS if kind.made)
MANIPULATIONS = tuple(kind.name for kind in IN_CLIPS)
OVER_TIME = tuple(kind.name for kind in IN_CLIPS if kind.over_time)


def fake_named(name: str) -> Fake:
    """The kind that pairs show; DataError names the known ones."""
    known = {kind.name: kind for kind in IN_PAIRS}
    if name not in known:
        raise DataError(f"Unknown kind of fake '{name}'; known are {', '.join(known)}.")
    return known[name]


def filmed_fake_named(name: str) -> FilmedFake:
    """The kind that clips show; DataError names the known ones."""
    known = {kind.name: kind for kind in IN_CLIPS}
    if name not in known:
        raise DataError(f"Unknown kind of fake in clips '{name}'; known are {', '.join(known)}.")
    return known[name]
