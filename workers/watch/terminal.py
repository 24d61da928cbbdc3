"""What `dfd watch` shows: a live table on a terminal, plain lines elsewhere, or JSON lines."""

from __future__ import annotations

import sys
import time
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

from dfd_core.console import PlainConsole, shown
from dfd_core.names import one_line
from workers.monitor.notices import Notice, Row

PLAIN_EVERY_S = 10.0  # between two plain status lines of a stream
_COLOURS = {"fake": "bold red", "suspect": "yellow", "authentic": "green"}


class Screen(Protocol):
    """Shows what happens, as it happens."""

    def rows(self, rows: list[Row]) -> None:
        """The streams now."""

    def notice(self, notice: Notice) -> None:
        """A verdict, or the end of a source."""

    def report(self, sentence: str) -> None:
        """Anything else that the user should know."""

    def close(self) -> None:
        """Leave the last state standing."""


class TableScreen:
    """A table that is redrawn in place, with the verdicts above it."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or PlainConsole()
        self._live = Live(_table([]), console=self._console, auto_refresh=False, redirect_stderr=False)
        self._live.start()

    def rows(self, rows: list[Row]) -> None:
        """Redraw."""
        self._live.update(_table(rows), refresh=True)

    def notice(self, notice: Notice) -> None:
        """A coloured line."""
        self._live.console.print(shown(notice.line(), _COLOURS.get(notice.verdict.state.value, "")))

    def report(self, sentence: str) -> None:
        """A dim line."""
        self._live.console.print(shown(sentence, "dim"))

    def close(self) -> None:
        """Stop redrawing."""
        self._live.stop()


class PlainScreen:
    """Lines for a log: verdicts at once, and each stream's state now and then."""

    def __init__(self) -> None:
        self._due = time.monotonic() + PLAIN_EVERY_S

    def rows(self, rows: list[Row]) -> None:
        """One line a stream, every ten seconds."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + PLAIN_EVERY_S
        for row in rows:
            print(one_line(plain(row)), flush=True)

    def notice(self, notice: Notice) -> None:
        """One line."""
        print(one_line(notice.line()), flush=True)

    def report(self, sentence: str) -> None:
        """One line."""
        print(one_line(sentence), flush=True)

    def close(self) -> None:
        """Nothing to leave."""


class JsonScreen:
    """Verdicts as JSON lines on standard output; all else on standard error."""

    def rows(self, rows: list[Row]) -> None:
        """Not for programs: they read /metrics."""

    def notice(self, notice: Notice) -> None:
        """One line."""
        print(notice.json(), flush=True)

    def report(self, sentence: str) -> None:
        """One line."""
        print(one_line(sentence), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing to leave."""


def open_screen(as_json: bool) -> Screen:
    """The one that fits where our output goes."""
    if as_json:
        return JsonScreen()
    return TableScreen() if sys.stdout.isatty() else PlainScreen()


def plain(row: Row) -> str:
    """`cam: live, authentic, fake probability 0.12, 8.0 fps, latency 0.4 s, queue 0`."""
    parts = [row.source, row.text or row.state, f"fake probability {_number(row.fake_probability, 2)}"]
    parts += [f"{row.fps:.1f} fps", f"latency {_number(row.latency_s, 1)} s", f"queue {row.queue}"]
    parts += [f"dropped {row.dropped}"] if row.dropped else []
    return f"{row.stream}: {', '.join(parts)}" + (f" ({row.error})" if row.error else "")


def _table(rows: list[Row]) -> Table:
    table = Table("stream", "source", "state", expand=False)
    for name in ("fake probability", "fps", "latency s", "queue", "dropped"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            shown(row.stream),
            shown(row.source if row.error is None else f"{row.source}: {row.error}"),
            shown(row.text or row.state, _COLOURS.get(row.state, "")),
            _number(row.fake_probability, 2),
            f"{row.fps:.1f}",
            _number(row.latency_s, 1),
            str(row.queue),
            str(row.dropped),
        )
    return table


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
