"""`dfd work` whose scorer crashes in native code on a poisoned crop: what no payload check can foresee."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from dfd_core.environment import load_settings
from dfd_core.judging.scoring import load_scorer
from dfd_core.process.logs import start_logging
from dfd_core.settings import Settings
from dfd_core.types import Segment
from tests.standins import POISON
from workers.fleet.supervisor import Supervisor


class Fragile:
    """The real scorer, until a crop is all of `POISON`."""

    def __init__(self, scorer: Any) -> None:
        self._scorer = scorer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)

    def score(self, items: Sequence[Any]) -> Any:
        segments = [piece for item in items for piece in item if isinstance(piece, Segment)]
        if any(track.crops.min() == track.crops.max() == POISON for segment in segments for track in segment.tracks):
            os.kill(os.getpid(), signal.SIGSEGV)
        return self._scorer.score(items)


def load_fragile_scorer(settings: Settings) -> Fragile:
    return Fragile(load_scorer(settings))


if __name__ == "__main__":
    settings = load_settings()
    start_logging(settings.log)
    sys.exit(Supervisor(settings, "tests.chaos.fragile_worker.load_fragile_scorer").run())
