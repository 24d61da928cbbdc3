"""Log lines: for people on a terminal, JSON elsewhere."""

import io
import json
import logging
import subprocess
import sys

import pytest

from dfd_core.errors import SettingsError
from dfd_core.process.logs import QUIET_S, JsonLines, Seldom
from dfd_core.settings import Settings


def logged(how: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.programs.log_a_line", how], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return done.stderr


@pytest.mark.parametrize("how", ["auto", "json"])
def test_where_nobody_looks_a_line_is_a_json_object(how: str) -> None:
    (line,) = logged(how).splitlines()
    told = json.loads(line)
    assert told["event"] == "1 of 2 windows\nlost"
    assert (told["level"], told["logger"]) == ("warning", "dfd.test")
    assert told["at"].endswith("+00:00")


def test_people_get_a_sentence() -> None:
    assert " WARNING dfd.test: 1 of 2 windows" in logged("human")


def test_a_traceback_stays_in_its_line() -> None:
    try:
        raise ValueError("no")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "it broke", None, sys.exc_info())
    line = JsonLines().format(record)
    assert "\n" not in line
    assert "ValueError: no" in json.loads(line)["traceback"]


def test_another_format_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"log\.format must be human, json or auto"):
        Settings().with_values({"log.format": "xml"})


class Log:
    """A logger of its own with a clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s, self.text = 0.0, io.StringIO()
        self.handler = Seldom(self.text, clock=lambda: self.now_s)
        self.log = logging.Logger("dfd.test")
        self.log.addHandler(self.handler)

    @property
    def lines(self) -> list[str]:
        return self.text.getvalue().splitlines()


def test_what_lasts_is_said_once_a_minute_with_how_often() -> None:
    log = Log()
    for second in range(600):  # ten minutes of what befalls each window
        log.now_s = second / 2
        log.log.warning("Redis %s: window %d of %s is dropped.", "is full", second, "cam")
    log.handler.close()
    assert log.lines[0] == "Redis is full: window 0 of cam is dropped."
    assert len(log.lines) == 1 + 300 / QUIET_S
    told = [int(line.partition("(and ")[2].split()[0]) for line in log.lines[1:]]
    assert 1 + sum(told) == 600
    assert log.lines[1].startswith("Redis is full: window 119 of cam is dropped. (and 119 more like this")


def test_what_differs_in_words_is_said_at_once() -> None:
    log = Log()
    for name in ("one", "two", "one"):
        log.log.warning("Lost %s.", name)
    log.log.error("Lost %s.", "one")
    log.log.warning("Lost one.")
    assert log.lines == ["Lost one.", "Lost two.", "Lost one.", "Lost one."]


def test_what_comes_again_much_later_is_said_at_once() -> None:
    log = Log()
    log.log.warning("Lost.")
    log.now_s = QUIET_S
    log.log.warning("Lost.")
    assert log.lines == ["Lost.", "Lost."]


def test_what_was_not_said_is_told_with_the_next_line() -> None:
    log = Log()
    for _ in range(3):
        log.log.warning("Lost.")
    log.now_s = QUIET_S + 1
    log.log.warning("Found.")
    assert log.lines == ["Lost.", "Lost. (and 2 more like this since it was said last)", "Found."]


def test_kinds_without_end_take_no_memory_without_end() -> None:
    log = Log()
    for number in range(5000):
        log.log.warning("Lost %s.", f"stream-{number}")
    assert len(log.handler._said) <= 1001
    assert len(log.lines) == 5000
