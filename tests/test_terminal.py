"""What `dfd watch` shows, and how it hears of it."""

import io

import pytest
from rich.console import Console

from dfd_core.types import State, Verdict
from workers.monitor.notices import Notice, Row, describe, metrics_line, read_line, rows_line
from workers.watch.terminal import JsonScreen, PlainScreen, TableScreen, plain

ROW = Row("cam", "live", "fake", "fake from 00:14", 0.91, 20.0, 8.0, 0.42, 3, 5, None)


VERDICT = Verdict("cam", 1, State.FAKE, 14.2, 20.0, 0.91, {"noise": None})


NOTICE = Notice("cam/r/1/1", VERDICT, describe(VERDICT), 5.0)


def test_the_table_shows_what_is_asked_of_it() -> None:
    out = io.StringIO()
    screen = TableScreen(Console(file=out, force_terminal=True, width=120, height=20))
    screen.rows([ROW])
    screen.notice(NOTICE)
    screen.report("metrics at http://[::1]:9460/metrics")
    screen.close()
    text = out.getvalue()
    for part in ("cam", "live", "fake from 00:14", "0.91", "8.0", "0.4", "metrics at http://[::1]:9460/metrics"):
        assert part in text


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    screen = PlainScreen()
    screen.rows([ROW])  # too early for a status line
    screen.notice(NOTICE)
    screen.report("hello")
    assert capsys.readouterr().out == "cam: face 1 fake from 00:14 (probability 0.91)\nhello\n"
    assert plain(ROW) == (
        "cam: live, fake from 00:14, fake probability 0.91, 8.0 fps, latency 0.4 s, queue 3, dropped 5"
    )


def test_json_lines_hold_verdicts_only(capsys: pytest.CaptureFixture[str]) -> None:
    screen = JsonScreen()
    screen.rows([ROW])
    screen.report("hello")
    screen.notice(NOTICE)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (NOTICE.json() + "\n", "hello\n")


def test_rows_and_notices_travel_as_lines() -> None:
    assert read_line(rows_line([ROW, ROW])) == [ROW, ROW]
    assert read_line(NOTICE.json()) == NOTICE
    assert read_line(metrics_line("http://127.0.0.1:1/metrics")) == "http://127.0.0.1:1/metrics"
