"""What finding frozen, looped and black pictures costs, beside what a sampled frame costs anyway.

    python benchmarks/repeats.py [--frames 400]

CPU milliseconds a frame, with five minutes of pictures remembered, and the memory that these take.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from dfd_core.faces.finder import FaceFinder
from dfd_core.media.repeats import MOST_LAG, STEP_S, LoopFinder, Repeats
from dfd_core.settings import FaceSettings
from dfd_core.types import UInt8Array

SIZES = {"720p": (720, 1280), "1080p": (1080, 1920), "4K": (2160, 3840)}


def cpu_ms(work: Callable[[UInt8Array], object], pictures: list[UInt8Array], frames: int) -> float:
    """CPU milliseconds a frame."""
    work(pictures[0])
    started = time.process_time()
    for index in range(frames):
        work(pictures[index % len(pictures)])
    return (time.process_time() - started) * 1e3 / frames


def filled() -> Repeats:
    """One that has seen five minutes."""
    repeats, rng = Repeats(), np.random.default_rng(0)
    for step in range(MOST_LAG):
        repeats.see(rng.integers(0, 256, (64, 64, 3), np.uint8), step * STEP_S)
    return repeats


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=400)
    args = parser.parse_args()
    repeats, finder, rng = filled(), FaceFinder(FaceSettings()), np.random.default_rng(1)
    steps = iter(range(MOST_LAG, 10**9))
    for name, (height, width) in SIZES.items():
        pictures = [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(4)]
        looked = cpu_ms(lambda picture: repeats.see(picture, next(steps) * STEP_S), pictures, args.frames)
        faces = cpu_ms(lambda picture: finder.find(picture, []), pictures, max(10, args.frames // 10))
        print(f"{name:5} {looked:5.2f} ms; one look for faces {faces:5.1f} ms", flush=True)
    print(f"memory of one stream: {LoopFinder().nbytes / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
