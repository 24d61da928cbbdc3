"""What looking for faces costs in video: tiles of large pictures, and finding out which way up faces are.

    python benchmarks/faces.py [--frames 48]

CPU milliseconds a sampled frame, and their ratio to the detector's look at the whole picture, in the same run.
"upright" is the sample portrait, "turned" the same by a quarter, "small" one whose face is 60 px wide, "empty" a wall.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from dfd_core.faces.finder import FaceFinder, FaceSearch, turned
from dfd_core.faces.windows import SegmentBuilder
from dfd_core.settings import FaceSettings, WindowSettings
from dfd_core.types import Frame, UInt8Array

SIZES = {"720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}
FACE_PX = 209  # of the portrait


def scenes(size: tuple[int, int], portrait: UInt8Array) -> dict[str, UInt8Array]:
    """One picture of each kind, uint8 (H, W, 3)."""
    wall = np.full((size[1], size[0], 3), (90, 100, 110), np.uint8)
    hung = {}
    for name, face_px in (("upright", size[1] // 4), ("small", 60)):
        scale = face_px / FACE_PX
        small = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        hung[name] = wall.copy()
        hung[name][size[1] // 8 :, size[0] // 3 :][: small.shape[0], : small.shape[1]] = small
    return {"upright": hung["upright"], "turned": turned(hung["upright"], 1), "small": hung["small"], "empty": wall}


def cpu_ms(work: Callable[[Sequence[Frame]], object], frames: Sequence[Frame]) -> float:
    """CPU milliseconds a frame."""
    work(frames[:2])
    started = time.process_time()
    work(frames)
    return (time.process_time() - started) * 1e3 / len(frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=48)
    args = parser.parse_args()
    package = find_spec("matplotlib")
    if package is None or package.origin is None:
        raise SystemExit("needs matplotlib's sample portrait: pip install 'dfd[demo]'")
    path = Path(package.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    portrait = np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8)
    finder = FaceFinder(FaceSettings())

    def whole(frames: Sequence[Frame]) -> None:
        for frame in frames:
            finder.find(frame.image, [])

    def with_tiles(frames: Sequence[Frame]) -> None:
        search = FaceSearch(finder)
        for frame in frames:
            search.find(frame.image, frame is frames[0])

    def segments(frames: Sequence[Frame]) -> None:
        builder = SegmentBuilder("s", finder, FaceSettings(), WindowSettings())
        for frame in frames:
            builder.push(frame)

    for size_name, size in SIZES.items():
        for name, image in scenes(size, portrait).items():
            frames = [Frame("s", n, n / 8, 0.0, image) for n in range(args.frames)]
            base, tiled, all_in = (cpu_ms(work, frames) for work in (whole, with_tiles, segments))
            told = f"with tiles {tiled / base:4.2f} x, segments {all_in / base:4.2f} x"
            print(f"{size_name:5} {name:8} whole {base:5.1f} ms, {told}", flush=True)


if __name__ == "__main__":
    main()
