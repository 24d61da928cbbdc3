"""`dfd results`: what was found in the submitted files, as a table, CSV, JSON lines or one HTML page."""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dfd_core.broker import connect
from dfd_core.bulk import BulkQueue, BulkState, Entry
from dfd_core.errors import QueueError
from dfd_core.models.store import SHIPPED, model_folder, model_name, read_card
from dfd_core.settings import Settings
from dfd_core.types import State
from dfd_core.verdict import format_time
from workers.bulk.page import html_page

HELP = "what was found in the submitted files"
EXAMPLES = """examples:
  dfd results                                   # a table, fakes first
  dfd results --state fake --format csv --out fakes.csv
  dfd results --format jsonl | jq .fake_probability
  dfd results --format html --out report.html   # one page to send on: summary, timelines, worst frames"""
FORMATS = ("table", "csv", "jsonl", "html")
_RANK = {state: rank for rank, state in enumerate(State)}
_STYLES = {State.FAKE: "bold red", State.SUSPECT: "yellow", State.AUTHENTIC: "green", State.UNKNOWN: "dim"}
_PLAIN = (
    "state",
    "verdict",
    "fake_probability",
    "median_probability",
    "faces",
    "frames",
    "duration_s",
    "reason",
    "model",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `dfd results`."""
    parser.add_argument("--format", choices=FORMATS, default="table")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there instead of to standard output")
    parser.add_argument("--state", choices=[state.value for state in State], help="only files of this state")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Write them; files that wait or failed are no results (dfd jobs has those)."""
    entries = ranked(BulkQueue(connect(settings.redis)).entries(), args.state)
    if args.format == "table" and args.out is None:
        Console().print(_table(entries))
        return 0
    text = render(entries, args.format, settings)
    if args.out is None:
        print(text, end="")
        return 0
    try:
        args.out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise QueueError(f"{args.out} cannot be written ({error.strerror}).") from None
    print(f"{len(entries)} results in {args.out}")
    return 0


def ranked(entries: Sequence[Entry], state: str | None = None) -> list[Entry]:
    """Those with a report (of `state`), the most alarming first."""
    done = [e for e in entries if e.state is BulkState.DONE and e.report and state in (None, e.report["state"])]
    return sorted(done, key=lambda e: (-_RANK[State(e.report["state"])], -(e.report["fake_probability"] or 0.0)))


def render(entries: Sequence[Entry], kind: str, settings: Settings) -> str:
    """The results as text of one of FORMATS."""
    if kind == "csv":
        return _csv(entries)
    if kind == "jsonl":
        return "".join(json.dumps(_row(entry), ensure_ascii=False) + "\n" for entry in entries)
    if kind == "html":
        return html_page(entries, _model_text({entry.file.model for entry in entries}, settings))
    console = Console(file=io.StringIO(), width=160)
    console.print(_table(entries))
    return console.file.getvalue()


def _row(entry: Entry) -> dict[str, Any]:
    """Everything but the pictures, and the manifest's columns where no field of ours has their name."""
    report = {key: value for key, value in entry.report.items() if key != "pictures"}
    return {**entry.file.columns, **report, "file": entry.file.path, "sha256": entry.file.digest}


def _csv(entries: Sequence[Entry]) -> str:
    rows = []
    for entry in entries:
        report = entry.report
        worst = report["worst"] or (None, None)
        rows.append(
            {
                **entry.file.columns,
                "file": entry.file.path,
                **{name: report.get(name) for name in _PLAIN},
                "worst_start_s": worst[0],
                "worst_end_s": worst[1],
                **report["checks"],
                "sha256": entry.file.digest,
            }
        )
    names = ["file", *_PLAIN, "worst_start_s", "worst_end_s"]
    names += [name for name in dict.fromkeys(name for row in rows for name in row) if name not in names]
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _table(entries: Sequence[Entry]) -> Table:
    table = Table("file", "verdict", "fake probability", "worst interval", "faces", box=None, pad_edge=False)
    table.columns[0].overflow = "fold"
    for entry in entries:
        report = entry.report
        verdict = report["verdict"] + (f": {report['reason']}" if report["reason"] else "")
        probability, worst = report["fake_probability"], report["worst"]
        table.add_row(
            escape(entry.file.path),
            f"[{_STYLES[State(report['state'])]}]{escape(verdict)}[/]",
            "-" if probability is None else f"{probability:.2f}",
            "-" if worst is None else f"{format_time(worst[0])}-{format_time(worst[1])}",
            str(report["faces"]),
        )
    return table


def _model_text(models: set[str], settings: Settings) -> dict[str, str]:
    """What is known here of each model: its card in words, for those whose folder is at hand."""
    known = {}
    for folder in (model_folder(settings.model.path), SHIPPED):
        name, words = model_name(read_card(folder)), folder / "README.md"
        if words.is_file():
            known[name] = words.read_text(encoding="utf-8")
    return {model: known.get(model, "Its card is not on this machine.") for model in sorted(models)}
