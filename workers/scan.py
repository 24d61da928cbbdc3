"""`dfd scan`: videos, images and folders, scored in this process, without Redis."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from dfd_core.errors import DfdError, VideoError
from dfd_core.files import find_files
from dfd_core.offline import FileReport, scan_file
from dfd_core.scoring import Scorer, load_scorer
from dfd_core.settings import Settings, VideoSettings
from dfd_core.types import State
from dfd_core.verdict import format_time
from dfd_core.video import probe

HELP = "score videos, images and folders here and now, without Redis"
EXAMPLES = """examples:
  dfd scan clip.mp4
  dfd scan ~/Videos portrait.jpg
  dfd scan --json clip.mp4 | jq .fake_probability

Exit code: 0 if anything could be scored, 1 if nothing could."""

_STYLES = {State.FAKE: "bold red", State.SUSPECT: "yellow", State.AUTHENTIC: "green", State.UNKNOWN: "dim"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `dfd scan`."""
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="video, image or folder (searched in depth)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a file, instead of a table")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Scan all paths; a file that cannot be scored gets its row and reason, and the others go on."""
    files = find_files(args.paths)
    if not files:
        raise VideoError(f"There is no video or image in {', '.join(map(str, args.paths))}.")
    scorer = load_scorer(settings)
    scored = 0
    table = _new_table()
    for report in _scan_all(files, settings, scorer):
        scored += report.scored
        if args.json:
            print(json.dumps(report.as_json(), ensure_ascii=False), flush=True)
        else:
            _add_row(table, report)
    if not args.json:
        Console().print(table)
    return 0 if scored else DfdError.exit_code


def _scan_all(files: list[Path], settings: Settings, scorer: Scorer) -> Iterator[FileReport]:
    """The report of each file, with a bar on stderr where that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        of_files = bar.add_task("files", total=len(files))
        for path in files:
            of_file = bar.add_task(path.name, total=_length_s(path, settings.video))
            yield scan_file(path, settings, scorer, lambda time_s, task=of_file: _move(bar, task, time_s))
            bar.remove_task(of_file)
            bar.advance(of_files)


def _move(bar: Progress, task: TaskID, time_s: float) -> None:
    bar.update(task, completed=int(time_s))


def _length_s(path: Path, settings: VideoSettings) -> float | None:
    """Whole seconds for the bar; None where unknown, and a file that cannot be read says so when it is scanned."""
    if not sys.stderr.isatty():
        return None
    try:
        length = probe(str(path), settings).duration_s
    except DfdError:
        return None
    return None if length is None else max(1, int(length))


def _new_table() -> Table:
    table = Table("file", "verdict", "fake probability", "worst interval", "faces", box=None, pad_edge=False)
    table.columns[0].overflow = "fold"
    for column in table.columns[2:]:
        column.justify = "right"
    return table


def _add_row(table: Table, report: FileReport) -> None:
    verdict = report.verdict if report.reason is None else f"{report.verdict}: {report.reason}"
    table.add_row(
        report.file,
        f"[{_STYLES[report.state]}]{_plain(verdict)}[/]",
        "-" if report.fake_probability is None else f"{report.fake_probability:.2f}",
        "-" if report.worst is None else f"{format_time(report.worst[0])}-{format_time(report.worst[1])}",
        str(report.faces),
    )


def _plain(text: str) -> str:
    """Text in which brackets are no markup."""
    return text.replace("[", "\\[")
