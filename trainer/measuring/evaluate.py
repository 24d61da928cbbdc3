"""`dfd evaluate`: every file of a manifest through the same scorer as the workers', and the usual figures of it."""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.progress import Progress

from dfd_core.console import PlainConsole
from dfd_core.detector import scan_file
from dfd_core.errors import DataError, PartialError, VideoError
from dfd_core.flags import above_0, count, whole
from dfd_core.judging import manifests
from dfd_core.judging.report import Report
from dfd_core.judging.scoring import CHECKS, Scorer, load_scorer
from dfd_core.media import STILL_SUFFIXES
from dfd_core.media.region import Region, parse_region
from dfd_core.names import ESCAPED, one_line
from dfd_core.settings import Settings
from dfd_core.types import State
from trainer.measuring.figures import REPORT, SCORES, draw_roc, report_of
from trainer.measuring.reencode import Reencoding, reencode
from trainer.processes import processes

EXAMPLES = """examples:
  dfd evaluate videos/manifest.csv --out runs/evaluation
  dfd evaluate manifest.csv --out out --jobs 4 --set model.path=runs/mine
  dfd evaluate manifest.csv --out out --crf 32 --scale 0.5     # what is left of it after a sharing site

The manifest has the columns file and label (real or fake); file is relative to the manifest's folder. All other
columns are carried into scores.csv; report.json groups by dataset, family, method and compression where they exist.
With a column region (left,top,right,bottom as shares of the frame) only that part of each frame is looked at. Files
that cannot be scored count in no figure: report.json has them by class and reason.

Exit code: 0, or 1 if a file is missing or none could be scored."""

LABELS = ("real", "fake")
MISSING = "the file is missing"
REGION = "region"
SCORE_COLUMNS = ("fake_probability", *CHECKS)
Row = dict[str, str]
Counts = dict[str, int]
_Part = tuple[Path, Region | None]


@dataclass(frozen=True, slots=True)
class _Look:
    """How much of each video is looked at, seconds, and what is done to it before."""

    seconds: float
    reencoding: Reencoding | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `dfd evaluate`."""
    parser.add_argument("manifest", type=Path, metavar="MANIFEST.csv")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the results; made if missing"
    )
    parser.add_argument("--jobs", type=count, default=1, help="processes (default: 1)")
    parser.add_argument("--seconds", type=above_0, default=math.inf, help="only the first of each video (default: all)")
    parser.add_argument("--crf", type=int, help="encode each video again before, H.264 at this rate factor (0 to 51)")
    parser.add_argument(
        "--scale", type=float, help="and scale its sides by this before that (with --crf 23 if not given)"
    )
    parser.add_argument("--bootstrap", type=count, default=1000, help="resamples for the interval (default: 1000)")
    parser.add_argument("--seed", type=whole, default=0, help="of the resampling (default: 0)")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Score the manifest and write the three files; the exit code is 0 if none is missing and any was scored."""
    rows = read_manifest(args.manifest)
    look = _Look(args.seconds, _reencoding(args.crf, args.scale))
    scorer = load_scorer(settings, every_check=True)  # a wrong model fails here, before any process is started
    args.out.mkdir(parents=True, exist_ok=True)
    files = [args.manifest.parent / row[manifests.FILE] for row in rows]
    parts = [(path, parse_region(row.get(REGION, ""))) for path, row in zip(files, rows, strict=True)]
    reports = list(_with_bar(_score_files(parts, settings, scorer, max(1, args.jobs), look), len(files)))
    scored = [{**row, **score_cells(report)} for row, report in zip(rows, reports, strict=True)]
    _write_csv(args.out / SCORES, scored)
    report = report_of(scored, scorer.thresholds.enter, args.bootstrap, args.seed)
    report = {"model": scorer.model_name, "runtime": scorer.runtime_name, "manifest": args.manifest.name, **report}
    report["seconds"] = args.seconds if math.isfinite(args.seconds) else "all"
    report["reencoded"] = asdict(look.reencoding) if look.reencoding else None
    report["unscored"] = _counted(rows, reports, lambda r: None if r.scored else r.why)
    report["in_part"] = _counted(rows, reports, lambda r: r.why or "read in part" if r.in_part else None)
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    (args.out / REPORT).write_text(text, encoding="utf-8", errors=ESCAPED)
    draw_roc(args.out / "roc.png", scored, report)
    _summarise(report, args.out)
    missing = any(MISSING in reasons for reasons in report["unscored"].values())
    return 0 if report["scored"] and not missing else DataError.exit_code


def read_manifest(path: Path) -> list[Row]:
    """The rows of a manifest; DataError as in `manifests.read_manifest`, and unless each label is real or fake."""
    return [{**row, "label": _label(row)} for row in manifests.read_manifest(path, (manifests.FILE, "label"), _wrong)]


def _label(row: Row) -> str:
    return row["label"].strip().lower()


def _wrong(row: Row) -> str | None:
    if _label(row) not in LABELS:
        return f"the label must be real or fake, not '{row['label']}'"
    try:
        parse_region(row.get(REGION, ""))
    except ValueError as error:
        return str(error)
    return None


def score_cells(report: Report) -> Row:
    """What a scan adds to its row: `fake_probability` is the worst face's median over its windows.

    `alarms` are faces that were found fake with the shipped thresholds and hysteresis, `seconds` media time.
    """
    numbers = {"fake_probability": report.median_probability, **report.checks}
    cells = {name: "" if numbers.get(name) is None else f"{numbers[name]:.6f}" for name in SCORE_COLUMNS}
    alarms = sum(verdict.state is State.FAKE for verdict in report.verdicts)
    counts = {"frames": report.frames, "faces": report.faces, "windows": report.windows, "alarms": alarms}
    cells.update({name: str(count) for name, count in counts.items()})
    cells["seconds"] = f"{report.duration_s:.2f}"
    return {**cells, "verdict": report.verdict, "reason": report.reason or ""}


def _score_files(parts: list[_Part], settings: Settings, scorer: Scorer, jobs: int, look: _Look) -> Iterator[Report]:
    if jobs == 1:
        yield from (_scan(part, settings, scorer, look) for part in parts)
        return
    threads = settings.worker.threads or max(1, (os.cpu_count() or 1) // jobs)
    shared = replace(settings, worker=replace(settings.worker, threads=threads))
    with processes(jobs, _prepare, shared, look) as pool:
        yield from pool.map(_scan_here, parts)


_State = tuple[Settings, Scorer, _Look]


def _prepare(settings: Settings, look: _Look) -> _State:
    return settings, load_scorer(settings, every_check=True), look


def _scan_here(state: _State, part: _Part) -> Report:
    return _scan(part, *state)


def _scan(part: _Part, settings: Settings, scorer: Scorer, look: _Look) -> Report:
    path, region = part
    if not os.path.isfile(path):  # as Path.is_file, but no name is too long for it
        return _nothing(path, MISSING)
    if look.reencoding is None or path.suffix.lower() in STILL_SUFFIXES:
        return scan_file(path, settings, scorer, seconds=look.seconds, region=region)
    with tempfile.TemporaryDirectory(prefix="dfd-") as folder:
        again, cut = Path(folder) / "again.mp4", None
        try:
            reencode(path, again, look.reencoding, look.seconds, settings.video)
        except PartialError as error:
            cut = error
        except VideoError as error:
            return _nothing(path, str(error))
        report = scan_file(again, settings, scorer, seconds=look.seconds, region=region).named(str(path))
        if cut is None:
            return report
        return replace(report, reason=str(cut), partial=True, read_s=cut.read_s, of_s=cut.of_s)


def _nothing(path: Path, reason: str) -> Report:
    return Report(str(path), State.UNKNOWN, "not scorable", reason=reason)


def _reencoding(crf: int | None, scale: float | None) -> Reencoding | None:
    given = {name: value for name, value in (("crf", crf), ("scale", scale)) if value is not None}
    return Reencoding(**given) if given else None  # type: ignore[arg-type]


def _with_bar(reports: Iterator[Report], total: int) -> Iterator[Report]:
    with Progress(console=PlainConsole(stderr=True), disable=not sys.stderr.isatty()) as bar:
        yield from bar.track(reports, total=total, description="scoring")


def _write_csv(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors=ESCAPED) as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _counted(rows: list[Row], reports: list[Report], why: Callable[[Report], str | None]) -> dict[str, Counts]:
    """How many files of each class have which reason."""
    counts = {label: Counter[str]() for label in LABELS}
    for row, report in zip(rows, reports, strict=True):
        reason = why(report)
        if reason is not None:
            counts[row["label"]][reason] += 1
    return {label: dict(reasons.most_common()) for label, reasons in counts.items()}


def _summarise(report: dict[str, Any], out: Path) -> None:
    auc, interval = report["auc"], report["auc_95"]
    figure = f"AUC {auc:.3f} ({interval[0]:.3f} to {interval[1]:.3f})" if auc is not None else "no AUC: one class only"
    print(f"{figure}; {report['scored']} of {report['files']} files scored{_left_out(report)}. See {out}/report.json.")


def _left_out(report: dict[str, Any]) -> str:
    """The reals and fakes that no figure counts, and those of which it counts a part."""
    told = [
        f"; {what}: {sum(reasons.values())} {label} ({', '.join(f'{n} {why}' for why, n in reasons.items())})"
        for what, counts in (("not scored", report["unscored"]), ("scored in part", report["in_part"]))
        for label, reasons in counts.items()
        if reasons
    ]
    return one_line("".join(told))
