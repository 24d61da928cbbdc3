"""`dfd scan` of a rendered 720p25 video against that video's length, all in: start, decoding, faces, scoring.

    python benchmarks/scan.py [--seconds 60] [--rounds 2] [--write]

"scoring only" is the same file in a process that has already started and loaded its model, "one by one" the same
without reading ahead; ratios are of the best round. `--write` puts the figures into docs/capacity.md and README.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pages import machine, put

from dfd_core.detector import scan_file
from dfd_core.judging.scoring import load_scorer
from dfd_core.settings import Settings
from ingest.sources.synthetic import Scene, render_synthetic


def best(work: Callable[[], object], rounds: int) -> float:
    """Least seconds of `rounds` runs."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="put the figures into docs/capacity.md and README.md")
    args = parser.parse_args()
    settings = Settings()
    scorer = load_scorer(settings)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.mp4"
        render_synthetic(path, Scene(duration=args.seconds, fake_from=args.seconds / 2))
        command = [sys.executable, "-m", "dfd_core.cli", "scan", "--json", str(path)]
        rows = {
            "dfd scan": best(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), args.rounds),
            "scoring only": best(lambda: scan_file(path, settings, scorer, ahead=True), args.rounds),
            "one by one": best(lambda: scan_file(path, settings, scorer), args.rounds),
        }
    fast = {name: args.seconds / seconds for name, seconds in rows.items()}
    text = (
        f"`dfd scan` of {args.seconds:.0f} s of 720p25 with one face, best of {args.rounds} rounds ({machine()}): "
        f"{fast['dfd scan']:.1f} times real time, {fast['scoring only']:.1f} without the start, "
        f"{fast['one by one']:.1f} of that one by one, without reading ahead."
    )
    print(text)
    if args.write:
        put("docs/capacity.md", "scan", text)
        said = f"{fast['dfd scan']:.1f} times real time, {fast['scoring only']:.1f} once it has started"
        put("README.md", "scan", f"- `dfd scan` of a video of {args.seconds:.0f} s, 720p25 with one face: {said}.")


if __name__ == "__main__":
    main()
