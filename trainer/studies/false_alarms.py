"""How often the shipped thresholds and hysteresis raise an alarm on video that is known to be real.

    python -m trainer.studies.false_alarms [--videos FOLDER ...] [--data real.h5 --minutes 20] [--set model.path=MODEL]

Videos are scanned as `dfd scan` does. With --data, faces of its validation part are filmed besides, for half a minute
each, by a virtual camera with motion, noise and a real encoder (trainer/fakes/clips.py). Printed are alarms, hours, and
alarms an hour with the upper end of their one-sided 95 % Poisson interval.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import chi2

from dfd_core.detector import scan_file
from dfd_core.environment import load_settings, parse_assignments
from dfd_core.judging.scoring import Scorer, load_scorer
from dfd_core.settings import Settings
from dfd_core.types import State
from trainer.data.face_pool import VALIDATION, pool_of
from trainer.fakes.clips import AUTHENTIC, Clip, make_clip


def main(words: Sequence[str] | None = None) -> None:
    """Scan and film, and print a line a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, nargs="*", default=[], help="folders of real videos")
    parser.add_argument("--data", type=Path, action="append", default=[])
    parser.add_argument("--minutes", type=float, default=20.0, help="to be filmed (default: 20)")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each clip (default: 30)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args(words)
    settings = load_settings(flags=parse_assignments(args.set))
    scorer = load_scorer(settings)
    print(f"{scorer.model_name}, thresholds {scorer.thresholds.enter} and {scorer.thresholds.exit}")
    for folder in args.videos:
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        _print(folder.name, [_alarms(path, settings, scorer) for path in files])
    if args.data:
        _print("filmed portraits", _filmed(args.data, args.minutes, Clip(seconds=args.seconds), settings, scorer))


def _filmed(
    data: list[Path], minutes: float, plan: Clip, settings: Settings, scorer: Scorer
) -> list[tuple[int, float]]:
    pool = pool_of(data)
    pool = pool.only((pool.splits == VALIDATION) & ~pool.fake)
    found = []
    with tempfile.TemporaryDirectory(prefix="dfd-") as folder:
        for number in range(round(minutes * 60 / plan.seconds)):
            rng = np.random.default_rng([7, number])
            path = make_clip(pool, AUTHENTIC, number % len(pool), Path(folder) / "clip.mp4", rng, plan=plan)
            found.append(_alarms(path, settings, scorer))
    return found


def _alarms(path: Path, settings: Settings, scorer: Scorer) -> tuple[int, float]:
    """Alarms of a file, and hours of it that were looked at."""
    report = scan_file(path, settings, scorer)
    return sum(verdict.state is State.FAKE for verdict in report.verdicts), report.duration_s / 3600


def _print(name: str, found: list[tuple[int, float]]) -> None:
    alarms, hours = sum(a for a, _ in found), sum(h for _, h in found)
    files, most = sum(a > 0 for a, _ in found), chi2.ppf(0.95, 2 * alarms + 2) / 2 / max(hours, 1e-9)
    rate = f"{alarms / max(hours, 1e-9):.1f} an hour (at most {most:.1f})"
    print(f"{name}: {alarms} alarms in {len(found)} files of {hours:.2f} hours, in {files} of the files; {rate}")


if __name__ == "__main__":
    main()
