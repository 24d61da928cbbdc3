"""How many faces are found the right way up, of pictures and videos in which they stand upright, turned by us.

    python benchmarks/turning.py FILE ... [--frames 16]

Every file is shown in all four turns. "right": the picture was turned so that the faces are upright; "wrong": faces
count as upright, and are not; "told": faces were found that are not scorable, because they are not upright.
"""

from __future__ import annotations

import argparse
from collections import Counter
from itertools import islice
from pathlib import Path

from dfd_core.faces.finder import FaceFinder
from dfd_core.faces.windows import SegmentBuilder, turned_frame
from dfd_core.media import read_frames
from dfd_core.settings import Settings
from dfd_core.types import Frame

SETTINGS = Settings()
OUTCOMES = ("right", "wrong", "told", "no face")


def outcome(frames: list[Frame], quarter_turns: int, finder: FaceFinder) -> str:
    """What becomes of upright faces that are turned counterclockwise by so many quarters, by the last frames."""
    builder = SegmentBuilder("s", finder, SETTINGS.faces, SETTINGS.windows)
    segments = [s for frame in frames for s in builder.push(turned_frame(frame, quarter_turns))] + builder.flush()
    tracks = segments[-1].tracks
    if not tracks:
        return "no face"
    if not any(track.upright for track in tracks):
        return "told"
    return "right" if (builder.quarter_turns + quarter_turns) % 4 == 0 else "wrong"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--frames", type=int, default=16, help="sampled frames of a video")
    args = parser.parse_args()
    counts: dict[int, Counter[str]] = {quarters: Counter() for quarters in range(4)}
    finder = FaceFinder(SETTINGS.faces)
    for path in args.files:
        frames = list(islice(read_frames(str(path), "s", SETTINGS.video), args.frames))
        for quarters in range(4):
            counts[quarters][outcome(frames, quarters, finder)] += 1
    for quarters, found in counts.items():
        told = ", ".join(f"{found[name]} {name}" for name in OUTCOMES)
        print(f"turned by {90 * quarters:3}: {told}")


if __name__ == "__main__":
    main()
