"""Log lines: for people on a terminal, JSON elsewhere."""

import json
import logging
import subprocess
import sys

import pytest

from dfd_core.errors import SettingsError
from dfd_core.process.logs import JsonLines
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
