"""What ingest costs against decoding alone, and against itself with cheaper settings: side by side in one run.

    python benchmarks/ingest_rate.py [--seconds 20] [--rounds 3] [--set faces.every=2 ...] [--write] [FILE]

Frames of the video a second of one core, by the CPU time of this process, in alternate rounds, the best of each.
"decode" is FFmpeg alone on one thread; "ingest" adds what `dfd ingest` does to a live stream but for Redis: conversion
of sampled frames, black, frozen and looped pictures, faces, crops, bytes. Each `--set` is one more row. Without FILE,
a scene of 720p25 is rendered. `--write` puts the table into docs/capacity.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
from pages import machine, put

from dfd_core.environment import parse_assignments
from dfd_core.faces.finder import FaceFinder
from dfd_core.faces.windows import SegmentBuilder
from dfd_core.media import read_frames
from dfd_core.media.repeats import Repeats
from dfd_core.queue.arrays import pack_segment
from dfd_core.settings import Settings
from ingest.sources.synthetic import Scene, render_synthetic


def decode(path: Path) -> int:
    """Frames."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return sum(1 for _ in container.decode(video=0))


def ingest(path: Path, settings: Settings) -> int:
    """Bytes of the segments."""
    builder = SegmentBuilder("bench", FaceFinder(settings.faces), settings.faces, settings.windows)
    repeats, size = Repeats(), 0
    for frame in read_frames(str(path), "bench", settings.video, live=False):
        repeats.see(frame.image, frame.time_s)
        size += sum(len(pack_segment(segment)) for segment in builder.push(frame))
    return size + sum(len(pack_segment(segment)) for segment in builder.flush())


def cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--write", action="store_true", help="put the table into docs/capacity.md")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = args.file or Path(folder) / "scene.mp4"
        if args.file is None:
            render_synthetic(path, Scene(duration=args.seconds, fake_from=args.seconds / 2))
        works: dict[str, Callable[[], object]] = {
            "decode": partial(decode, path),
            "ingest": partial(ingest, path, Settings()),
        }
        for assignment in args.set:
            works[assignment] = partial(ingest, path, Settings().with_values(parse_assignments([assignment])))
        frames, best = decode(path), dict.fromkeys(works, float("inf"))
        for _ in range(args.rounds):
            best = {name: min(best[name], cpu_s(work)) for name, work in works.items()}
    lines = [
        f"{frames} frames of one film, best of {args.rounds} alternate rounds ({machine()}).",
        "",
        "| part | frames a core-second | of decoding alone |",
        "|---|---|---|",
        *(f"| {name} | {frames / took:.0f} | {best['decode'] / took:.2f} |" for name, took in best.items()),
    ]
    print("\n".join(lines))
    if args.write:
        put("docs/capacity.md", "ingest", "\n".join(lines))


if __name__ == "__main__":
    main()
