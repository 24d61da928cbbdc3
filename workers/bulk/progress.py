"""`dfd jobs`: what became of the submitted files: bars, rates and the time left, and why files failed."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dfd_core.console import PlainConsole, shown
from dfd_core.names import format_time, json_line
from dfd_core.process.signals import stop_on_signals
from dfd_core.queue.broker import REDIS_AWAY, connect, told, trouble
from dfd_core.queue.bulk import BulkQueue
from dfd_core.queue.submitted import BulkState, Entry
from dfd_core.settings import Settings

EXAMPLES = """examples:
  dfd jobs                       # counts, what runs now, and every failure with its reason
  dfd jobs --watch               # until nothing waits any more
  dfd jobs --json | jq .state    # one JSON object a file

Exit code: 0, or 1 if any file has failed for good or got lost (dfd jobs retry)."""
LOOK_S = 1.0
RATE_S = 60.0  # over which the rate is taken
_MOST = 10  # running files and failures on a screen
_OPEN = (BulkState.WAITING, BulkState.RUNNING, BulkState.RETRYING)
_BAD = (BulkState.FAILED, BulkState.LOST)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `dfd jobs`."""
    parser.add_argument("--watch", action="store_true", help="go on until no file waits or runs")
    parser.add_argument("--json", action="store_true", help="one JSON object a file: path, state, reason, progress")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Show the queue once, or until it is empty."""
    book = BulkQueue(connect(settings.redis))
    with told(settings.redis):
        if args.watch and not args.json:
            return _watch(book)
        entries = book.entries()
    if args.json:
        for entry in entries:
            print(json_line(_as_json(entry)))
    else:
        PlainConsole().print(picture(entries, Rate(), most=len(entries)))
    return _code(entries)


class Rate:
    """Files and media seconds that were done lately, each second."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int, float]] = []

    def note(self, entries: Sequence[Entry]) -> None:
        """One more look; the older ones of a minute count."""
        reports = [entry.report for entry in entries if entry.report]
        media_s = sum(float(report.get("duration_s", 0.0)) for report in reports)
        now = time.monotonic()
        self._seen = [*(look for look in self._seen if now - look[0] <= RATE_S), (now, len(reports), media_s)]

    @property
    def files(self) -> float:
        """Files a second; 0 where nothing is known yet."""
        return self._slope(1)

    @property
    def media(self) -> float:
        """Media seconds a second: how many times real time."""
        return self._slope(2)

    def _slope(self, what: int) -> float:
        if len(self._seen) < 2:
            return 0.0
        first, last = self._seen[0], self._seen[-1]
        return (last[what] - first[what]) / max(1e-6, last[0] - first[0])


def picture(entries: Sequence[Entry], rate: Rate, most: int = _MOST) -> RenderableType:
    """All that there is to see: a bar, counts and rates, what runs, and what failed."""
    if not entries:
        return Text("Nothing was submitted: dfd submit PATH...")
    counts = Counter(entry.state for entry in entries)
    ended = len(entries) - sum(counts[state] for state in _OPEN)
    parts: list[RenderableType] = [
        ProgressBar(total=len(entries), completed=ended, width=60),
        Text(f"{ended} of {len(entries)} files; " + ", ".join(f"{counts[s]} {s}" for s in BulkState if counts[s])),
    ]
    if rate.files > 0:
        left_s = (len(entries) - ended) / rate.files
        pace = f"{rate.files:.2f} files a second, {rate.media:.1f} times real time"
        parts.append(Text(f"{pace}, about {format_time(left_s)} left"))
    running = [entry for entry in entries if entry.state is BulkState.RUNNING]
    if running:
        parts.append(_running(running[:most]))
    bad = [entry for entry in entries if entry.reason and entry.state is not BulkState.DONE]
    parts += [Text.assemble((e.state, "red"), " ", shown(f"{e.file.path}: {e.reason}")) for e in bad[:most]]
    if len(bad) > most:
        parts.append(Text(f"... and {len(bad) - most} more: dfd jobs"))
    return Group(*parts)


def _running(entries: Sequence[Entry]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for entry in entries:
        progress = entry.progress
        done = progress.time_s if progress else 0.0
        total = progress.duration_s if progress else None
        table.add_row(
            shown(entry.file.path),
            ProgressBar(total=max(total, done, 1e-3) if total else None, completed=done, width=20, pulse=total is None),
            f"{format_time(done)} of {format_time(total)}" if total else format_time(done),
        )
    return table


def _watch(book: BulkQueue) -> int:
    rate, console = Rate(), PlainConsole()
    with stop_on_signals() as stop, Live(console=console, auto_refresh=False) as screen:
        entries = book.entries()
        while True:
            rate.note(entries)
            screen.update(picture(entries, rate), refresh=True)
            if not any(entry.state in _OPEN for entry in entries) or stop.wait(LOOK_S):
                return _code(entries)
            try:
                entries = book.entries()
            except REDIS_AWAY as error:
                print(f"dfd: Redis {trouble(error)}; trying again.", file=sys.stderr)


def _as_json(entry: Entry) -> dict[str, object]:
    progress = asdict(entry.progress) if entry.progress else None
    where = {"path": entry.file.path, "absolute_path": entry.file.absolute}
    return {**where, "state": entry.state, "reason": entry.reason, "progress": progress}


def _code(entries: Sequence[Entry]) -> int:
    return 1 if any(entry.state in _BAD for entry in entries) else 0
