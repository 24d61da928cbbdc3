"""`dfd results`: what was found in the submitted files, as a table, CSV, JSON lines or one HTML page."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfd_core.console import PlainConsole
from dfd_core.errors import QueueError
from dfd_core.judging.report import Report
from dfd_core.names import ESCAPED, json_line
from dfd_core.queue.broker import connect, told
from dfd_core.queue.bulk import BulkQueue
from dfd_core.queue.submitted import BulkFile, BulkState, Entry
from dfd_core.reporting.page import PageRow, html_page
from dfd_core.reporting.report import parse_pictures, table_of
from dfd_core.settings import Settings
from dfd_core.types import State

EXAMPLES = """examples:
  dfd results                                   # a table, fakes first
  dfd results --state fake --format csv --out fakes.csv
  dfd results --format jsonl | jq .fake_probability
  dfd results --format html --out report.html   # one page to send on: summary, timelines, worst frames

Each file has its row, and so has each row of a manifest, with its other columns. Bytes of a name that are no UTF-8 are
written as \\\\udcXX, which JSON reads back as the same name."""
FORMATS = ("table", "csv", "jsonl", "html")
_RANK = {state: rank for rank, state in enumerate(State)}
_PLAIN = (
    "state",
    "verdict",
    "fake_probability",
    "median_probability",
    "faces",
    "frames",
    "duration_s",
    "reason",
    "partial",
    "read_s",
    "of_s",
    "model",
)


@dataclass(frozen=True, slots=True)
class Result:
    """A submitted file and its report."""

    file: BulkFile
    report: Report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `dfd results`."""
    parser.add_argument("--format", choices=FORMATS, default="table")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there instead of to standard output")
    parser.add_argument("--state", choices=[state.value for state in State], help="only files of this state")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Write them; files that wait or failed are no results (dfd jobs has those)."""
    book = BulkQueue(connect(settings.redis))
    with told(settings.redis):
        results = ranked(book.entries(), args.state)
        if args.format == "table" and args.out is None:
            PlainConsole().print(_table(results))
            return 0
        text = render(results, args.format, settings, book)
    if args.out is None:
        sys.stdout.write(text)
        return 0
    try:
        args.out.write_text(text, encoding="utf-8", errors=ESCAPED, newline="")
    except OSError as error:
        raise QueueError(f"{args.out} cannot be written ({error.strerror}).") from None
    print(f"{len(results)} results in {args.out}")
    return 0


def ranked(entries: Sequence[Entry], state: str | None = None) -> list[Result]:
    """Those with a report (of `state`), the most alarming first; WireError for a report that is foreign."""
    done = [Result(e.file, Report.from_dict(e.report)) for e in entries if e.state is BulkState.DONE]
    wanted = [result for result in done if state in (None, result.report.state)]
    return sorted(wanted, key=lambda r: (-_RANK[r.report.state], -(r.report.fake_probability or 0.0)))


def render(results: Sequence[Result], kind: str, settings: Settings, book: BulkQueue) -> str:
    """The results as text of one of FORMATS."""
    if kind == "csv":
        return _csv(results)
    if kind == "jsonl":
        return "".join(json_line(_row(result)) + "\n" for result in results)
    if kind == "html":
        return _page(results, settings, book)
    text = io.StringIO()
    PlainConsole(file=text).print(_table(results))
    return text.getvalue()


def _row(result: Result) -> dict[str, Any]:
    """Everything but the pictures, beside the manifest's columns; none has a name of ours (`read_manifest`)."""
    return {**result.file.columns, **result.report.to_dict(), **_where(result.file)}


def _where(file: BulkFile) -> dict[str, str]:
    return {"file": file.path, "absolute_path": file.absolute, "sha256": file.digest}


def _csv(results: Sequence[Result]) -> str:
    rows = []
    for result in results:
        report = result.report
        worst = report.worst or (None, None)
        own = {name: getattr(report, name) for name in _PLAIN}
        own |= {"worst_start_s": worst[0], "worst_end_s": worst[1], **report.checks, **_where(result.file)}
        rows.append({**result.file.columns, **own})
    names = ["file", *_PLAIN, "worst_start_s", "worst_end_s"]
    names += [name for name in dict.fromkeys(name for row in rows for name in row) if name not in names]
    out = io.StringIO()
    writer = csv.DictWriter(
        out, names
    )  # \r\n ends a line (RFC 4180); with \n alone, Python leaves a \r in a cell unquoted
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _table(results: Sequence[Result]) -> Any:
    names = _names([result.file for result in results])
    return table_of((names[result.file.key], result.report) for result in results)


def _names(files: Sequence[BulkFile]) -> dict[str, str]:
    """What each file is called, by key: as submitted, or by its absolute path where that could be another one."""
    places = defaultdict[str, set[str]](set)
    for file in files:
        places[file.path].add(file.absolute)
    return {file.key: file.path if len(places[file.path]) == 1 else file.absolute for file in files}


def _page(results: Sequence[Result], settings: Settings, book: BulkQueue) -> str:
    names = _names([result.file for result in results])
    pictures = book.pictures(result.file for result in results if result.report.state is State.FAKE)
    rows = [
        PageRow(
            names[result.file.key],
            result.report,
            parse_pictures(pictures.get(result.file.id, [])),
            [("SHA-256", result.file.digest), *result.file.columns.items()],
        )
        for result in results
    ]
    return html_page(rows, settings)
