"""What a bundle still has of the windows that it shows, for a process that goes on with it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dfd_core.queue.alarms import AlarmState
from dfd_core.types import WindowScore
from workers.evidence.bundle import FACTS
from workers.evidence.integrity import problems
from workers.evidence.pictures import Shots


def is_unfinished(folder: Path) -> bool:
    """Whether its alarm lasted when it was written; a bundle that was changed since counts as done with."""
    facts = _facts(folder)
    return facts is not None and facts["alarm"].get("state") == AlarmState.OPEN.value and not problems(folder)


def kept_shots(folder: Path, windows: Sequence[WindowScore]) -> list[Shots]:
    """The crops of a bundle by window, without what networks saw in them; those of `windows` only."""
    facts = _facts(folder)
    by_window: defaultdict[int, dict[int, tuple[float, Path]]] = defaultdict(dict)
    for crop in [] if facts is None else facts["crops"]:
        place = int(Path(crop["file"]).stem.rpartition("-")[2])
        by_window[crop["seq"]][place] = crop["time_s"], folder / crop["file"]
    scores = {score.seq: score for score in windows}
    return [_shots(scores[seq], frames) for seq, frames in by_window.items() if seq in scores]


def _shots(score: WindowScore, frames: dict[int, tuple[float, Path]]) -> Shots:
    """Frames between those that were seen are told as not seen, at times between theirs."""
    seen = sorted(frames)
    images = [cv2.cvtColor(cv2.imread(str(frames[place][1])), cv2.COLOR_BGR2RGB) for place in seen]
    count = seen[-1] + 1
    crops = np.zeros((count, *images[0].shape), np.uint8)
    crops[seen] = images
    times_s = np.interp(np.arange(count), seen, [frames[place][0] for place in seen])
    return Shots(score, times_s, np.isin(np.arange(count), seen), crops)


def _facts(folder: Path) -> dict[str, Any] | None:
    """What its JSON holds; None where it is none of ours."""
    try:
        facts = json.loads((folder / FACTS).read_bytes())
        return facts if {"alarm", "crops"} <= facts.keys() and isinstance(facts["alarm"], dict) else None
    except (OSError, ValueError, AttributeError):
        return None
