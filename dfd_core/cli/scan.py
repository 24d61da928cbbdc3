"""`dfd scan`: videos, images and folders, scored in this process, without Redis."""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from dfd_core.console import PlainConsole
from dfd_core.detector import scan_file
from dfd_core.errors import DataError, DfdError, VideoError
from dfd_core.judging.report import Report, ReportBuilder
from dfd_core.judging.scoring import Scorer, load_scorer
from dfd_core.media import probe, redact, stream_name
from dfd_core.media.files import search_files
from dfd_core.models.store import sha256_of
from dfd_core.names import ESCAPED, one_line
from dfd_core.process.bounds import cpu_limit, held_bytes, is_owned, limit_memory
from dfd_core.reporting.page import PageRow, html_page
from dfd_core.reporting.report import pictures_of, table_of
from dfd_core.settings import Settings, VideoSettings
from dfd_core.types import State

EXAMPLES = """examples:
  dfd scan clip.mp4
  dfd scan ~/Videos portrait.jpg --out report.html     # and a page with timelines and the worst frames
  dfd scan --json clip.mp4 | jq .fake_probability

Exit code: 0 if all files were scored, 2 if some were not or only in part, 1 if none was or the command is wrong."""
NONE, SOME = 1, 2  # exit codes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `dfd scan`."""
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="video, image or folder (searched in depth)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a file, instead of a table")
    parser.add_argument("--out", type=Path, metavar="PAGE.html", help="write one HTML page too, as dfd results does")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Scan all paths; a file that cannot be scored gets its row and reason, and the others go on."""
    if args.out is not None and (args.out.suffix.lower() not in (".html", ".htm") or not args.out.parent.is_dir()):
        raise DataError(f"--out {args.out}: give the name of an HTML page, as report.html, in a folder that is there.")
    found = search_files(args.paths)
    if found.left_out:
        print(f"dfd: {found.sentence()}", file=sys.stderr)
    if not found.files:
        raise VideoError(f"There is no video or image in {', '.join(map(str, args.paths))}.")
    scorer, reports, rows = load_scorer(settings), list[Report](), list[PageRow]()
    if is_owned():
        limit_memory(settings.video.max_memory_bytes, beside=held_bytes())
    for path, report in _scan_all(found.files, settings, scorer):
        reports.append(report)
        if args.json:
            print(report.to_json(), flush=True)
        if args.out is not None:
            rows.append(_page_row(path, report, settings))
    if not args.json:
        PlainConsole().print(table_of((report.file, report) for report in reports))
    print(summary(reports), file=sys.stderr if args.json else sys.stdout)
    if args.out is not None:
        _write(args.out, html_page(rows, settings))
    return exit_code(reports)


def summary(reports: Sequence[Report]) -> str:
    """One line: how many were scored, found fake, read in part, and not scorable by reason."""
    scored = [report for report in reports if report.scored]
    fake, partial = sum(r.state is State.FAKE for r in reports), sum(r.in_part for r in reports)
    reasons = Counter(report.why for report in reports if not report.scored)
    parts = [f"{len(scored)} scored", f"{fake} fake"] + ([f"{partial} read in part"] if partial else [])
    parts += [f"{len(reports) - len(scored)} not scorable"] if reasons else []
    told = "; ".join(f"{count} {one_line(reason)}" for reason, count in reasons.most_common())
    files = f"{len(reports)} file{'s' if len(reports) != 1 else ''}"
    return f"{files}: {', '.join(parts)}" + (f" ({told})" if told else "")


def exit_code(reports: Sequence[Report]) -> int:
    """0 if all were scored whole, SOME if only some or in part, NONE if none."""
    if not any(report.scored for report in reports):
        return NONE
    return 0 if all(report.scored and not report.in_part for report in reports) else SOME


def _page_row(path: Path, report: Report, settings: Settings) -> PageRow:
    pictures = pictures_of(report, path, settings.video)
    more = [("SHA-256", sha256_of(path))] if report.state is State.FAKE else []
    return PageRow(report.file, report, pictures, more)


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8", errors=ESCAPED)
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}).") from None


def _scan_all(files: list[Path], settings: Settings, scorer: Scorer) -> Iterator[tuple[Path, Report]]:
    """The report of each file, with a bar on stderr where that is a terminal."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = PlainConsole(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        of_files = bar.add_task("files", total=len(files))
        for path in files:
            of_file = bar.add_task(one_line(path.name), total=_length_s(path, settings.video))
            yield path, _scanned(path, settings, scorer, partial(_move, bar, of_file))
            bar.remove_task(of_file)
            bar.advance(of_files)


def _scanned(path: Path, settings: Settings, scorer: Scorer, on_time: Callable[[float], None]) -> Report:
    try:
        with _bounded(path, settings.video.max_cpu_s):
            return scan_file(path, settings, scorer, on_time, ahead=True)
    except MemoryError:
        error = VideoError(f"{path} takes more memory than there is, or video.max_memory_bytes allows.")
        return ReportBuilder(settings, scorer, stream_name(str(path))).report(redact(str(path)), error)


@contextmanager
def _bounded(path: Path, max_cpu_s: float) -> Iterator[None]:
    """Raise VideoError within, where this is a process of our own and takes more CPU time than that."""

    def give_up(signum: int, frame: FrameType | None) -> None:
        raise VideoError(
            f"{path} took more CPU time than video.max_cpu_s ({max_cpu_s:g}) allows: it was given up there."
        )

    if not is_owned():
        yield
        return
    before = signal.signal(signal.SIGXCPU, give_up)
    try:
        with cpu_limit(max_cpu_s):
            yield
    finally:
        signal.signal(signal.SIGXCPU, before)


def _move(bar: Progress, task: TaskID, time_s: float) -> None:
    bar.update(task, completed=int(time_s))


def _length_s(path: Path, settings: VideoSettings) -> float | None:
    """Whole seconds for the bar; None where unknown, and a file that cannot be read says so when it is scanned."""
    if not sys.stderr.isatty():
        return None
    try:
        length = probe(str(path), settings).duration_s
    except (DfdError, MemoryError):
        return None
    return None if length is None else max(1, int(length))
