"""`dfd work` with the real scorer, but for one thing: python -m tests.chaos.odd_workers fragile | paced."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from dfd_core.environment import load_settings
from dfd_core.judging.scoring import load_scorer
from dfd_core.process.logs import start_logging
from dfd_core.settings import Settings
from dfd_core.types import Segment
from tests.standins import POISON
from workers.fleet.supervisor import Supervisor

PACE = 2.0  # windows a second that a paced one scores on any machine: those of two cameras


class Odd:
    """The real scorer."""

    def __init__(self, settings: Settings) -> None:
        self._scorer: Any = load_scorer(settings)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)


class Fragile(Odd):
    """It crashes in native code, where no payload check can foresee it, as soon as a crop is all of `POISON`."""

    def score(self, items: Sequence[Any]) -> Any:
        segments = [piece for item in items for piece in item if isinstance(piece, Segment)]
        if any(track.crops.min() == track.crops.max() == POISON for segment in segments for track in segment.tracks):
            os.kill(os.getpid(), signal.SIGSEGV)
        return self._scorer.score(items)


class Paced(Odd):
    """It takes its time, so that what is too much for it is known."""

    def score(self, items: Sequence[Any]) -> Any:
        began = time.monotonic()
        scored = self._scorer.score(items)
        time.sleep(max(0.0, began + len(items) / PACE - time.monotonic()))
        return scored


KINDS = {"fragile": "Fragile", "paced": "Paced"}

if __name__ == "__main__":
    settings = load_settings()
    start_logging(settings.log)
    sys.exit(Supervisor(settings, f"tests.chaos.odd_workers.{KINDS[sys.argv[1]]}").run())
