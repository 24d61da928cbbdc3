"""`dfd calibrate`: a stream's own alarm threshold, from footage of it that is known to be real."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

from rich.progress import Progress, TextColumn, TimeElapsedColumn

from dfd_core.cli.false_alarms import fitted_to_false_alarms
from dfd_core.console import PlainConsole
from dfd_core.detector import score_source
from dfd_core.errors import DataError, VideoError
from dfd_core.flags import above_0
from dfd_core.judging.calibration import fit_thresholds, read_thresholds, write_thresholds
from dfd_core.judging.scoring import Scorer, load_scorer
from dfd_core.media import found_live, redact, stream_name
from dfd_core.names import one_line
from dfd_core.settings import Settings
from dfd_core.types import WindowResult

EXAMPLES = """examples:
  dfd calibrate rtsp://lobby-cam/main --seconds 600 --out thresholds.toml
  dfd calibrate monday.mp4 --stream lobby-cam-main --out thresholds.toml
  dfd calibrate lobby-cam-main --false-alarms --redis URL --out thresholds.toml   # what people called false alarms
  dfd watch rtsp://lobby-cam/main --set verdict.thresholds=thresholds.toml

The longer the footage, and the more of what the camera sees on ordinary days is in it, the better. What the file says
of other streams stays. Thresholds below those that the model recommends find more fakes and raise more false alarms."""

_SHORT_S = 600.0  # footage below this says little about an hour


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `dfd calibrate`."""
    parser.add_argument("source", metavar="SOURCE", help="the stream, or a recording of it; real faces only")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.toml", help="where thresholds are kept")
    parser.add_argument("--stream", help="its name (default: as dfd watch names SOURCE)")
    parser.add_argument(
        "--false-alarms", action="store_true", help="SOURCE names a stream: raise its threshold above its false alarms"
    )
    parser.add_argument("--seconds", type=above_0, help="how much of it to look at (default: all; live ones need it)")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Score the footage, fit, and write."""
    if args.false_alarms:
        return _raise(args.source, args.out, settings)
    live = found_live(args.source, settings.video)
    if live and args.seconds is None:
        raise DataError("A live stream has no end: say with --seconds how much of it to look at.")
    stream = args.stream or stream_name(args.source)
    if stream != stream_name(stream):
        raise DataError(f"'{stream}' is no name of a stream: names have letters, digits, - and _ only.")
    known = read_thresholds(args.out) if args.out.exists() else {}
    scorer = load_scorer(settings)
    results, length_s = _watched(args.source, stream, settings, scorer, args.seconds or math.inf)
    own = fit_thresholds(results, settings.verdict, scorer.thresholds)
    if own is None:
        raise DataError(f"No face in {redact(args.source)} could be scored: nothing can be fitted.")
    write_thresholds(args.out, {**known, stream: own})
    print(
        f"{stream}: an alarm begins at {own.enter:.3f} and ends below {own.exit:.3f}, "
        f"from {length_s:.0f} s of real footage (the model recommends {scorer.thresholds.enter:.3f} "
        f"and {scorer.thresholds.exit:.3f}). Written to {args.out}."
    )
    if length_s < _SHORT_S:
        print(f"Less than {_SHORT_S / 60:.0f} minutes say little about ordinary days: give it more.", file=sys.stderr)
    return 0


def _raise(stream: str, out: Path, settings: Settings) -> int:
    """Never lower: what other footage asked for holds too."""
    known = read_thresholds(out) if out.exists() else {}
    own, count = fitted_to_false_alarms(stream, settings)
    if stream in known and known[stream].enter >= own.enter:
        print(f"{stream}: its threshold of {known[stream].enter:.3f} is above what {count} false alarms ask for.")
        return 0
    write_thresholds(out, {**known, stream: own})
    print(
        f"{stream}: an alarm begins at {own.enter:.3f} and ends below {own.exit:.3f}, above {count} false alarms. "
        f"Written to {out}. It finds fewer fakes, too."
    )
    return 0


def _watched(
    source: str, stream: str, settings: Settings, scorer: Scorer, seconds: float
) -> tuple[list[WindowResult], float]:
    """The results of all windows, and how many seconds of media they show; what was read counts if a stream ends."""
    times = [0.0]
    results: list[WindowResult] = []
    columns = (TextColumn("{task.completed} s of footage"), TimeElapsedColumn())
    with Progress(*columns, console=PlainConsole(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(stream)

        def seen(time_s: float) -> None:
            times.append(time_s)
            bar.update(task, completed=int(time_s))

        try:
            for result in score_source(source, stream, settings, scorer, seen, seconds=seconds):
                results.append(result)  # one by one: what came before an error counts
        except VideoError as error:
            if len(times) == 1:
                raise
            print(one_line(f"dfd: {error} Going on with the {times[-1]:.0f} s before."), file=sys.stderr)
    return results, times[-1]
