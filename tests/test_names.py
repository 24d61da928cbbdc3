"""Names and rows are data: shown and kept as they are by the real commands, whatever they hold; none is lost."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dfd_core.cli.main import main
from dfd_core.console import PlainConsole, shown
from dfd_core.judging.scoring import load_scorer
from dfd_core.names import json_line, one_line, utf8
from tests.fixtures_names import LATIN, SLOW, lines, placed

ROOT = Path(__file__).parents[1]
NAMES = [
    "Title [dQw4w9WgXcQ].mp4",
    "a[/b].mp4",
    "[bold red]x[/].mp4",
    "[link=http://x]y.mp4",
    ":fire: 50 %{}.mp4",
    "trailing\\.mp4",
    "line\nbreak.mp4",
    "\x1b[31mred\x1b[0m.mp4",
    "müller ☃ e\u0301.mp4",
    "-rf.mp4",
    " lead and trail .mp4",
    "'\"`$(x);&|<>.mp4",
    "\u202egnp.exe.mp4",
    LATIN,
]


def visible(name):
    """What a terminal may get of a name."""
    return shown(name).plain


@pytest.mark.parametrize("name", NAMES)
def test_every_command_shows_a_name_as_it_is(name, content, model, rig, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    path = placed(tmp_path / name, content)
    main(["scan", str(path), *model])
    assert visible(str(path)) in capsys.readouterr().out
    main(["scan", "--json", str(tmp_path), *model])
    assert lines(capsys.readouterr().out)[0]["file"] == str(path)
    assert rig.dfd("submit", path) == 0
    capsys.readouterr()
    rig.dfd("jobs", "--json")
    assert lines(capsys.readouterr().out)[0]["path"] == str(path)
    rig.work()
    rig.dfd("results")
    assert visible(str(path)) in capsys.readouterr().out
    rig.dfd("results", "--format", "jsonl")
    assert lines(capsys.readouterr().out)[0]["file"] == str(path)
    out = tmp_path / "results"
    rig.dfd("results", "--format", "csv", "--out", out)
    with out.open(newline="", encoding="utf-8") as handle:
        assert [row["file"] for row in csv.DictReader(handle)] == [utf8(str(path))]
    rig.dfd("results", "--format", "html", "--out", out)
    assert "no face" in out.read_text(encoding="utf-8")


def test_failures_and_what_runs_are_shown_as_they_are(content, rig, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    paths = [placed(tmp_path / name, content + os.fsencode(name)) for name in NAMES]
    rig.dfd("submit", "--recursive", tmp_path)
    for path in paths:
        path.unlink()
    rig.work()
    capsys.readouterr()
    rig.dfd("jobs")
    said = capsys.readouterr().out
    assert all(f"retrying {visible(str(tmp_path / name))}: " in said for name in NAMES)


def test_a_console_takes_nothing_for_markup():
    console = PlainConsole(file=io.StringIO(), width=200)
    console.print("[red]a[/b] :fire: 1.5", shown("x\ny\x1b[2J"))
    assert console.file.getvalue() == "[red]a[/b] :fire: 1.5 x\\ny\\x1b[2J\n"


@given(st.text() | st.binary().map(os.fsdecode))
def test_a_name_is_one_line_and_json_gives_it_back(name):
    assert len(one_line(name + "x").splitlines()) == 1
    assert not re.search("[\\x00-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069]", one_line(name))
    line = json_line({"file": name})
    assert json.loads(line) == {"file": name}
    assert line.splitlines() == [line]
    line.encode()


def test_no_command_prints_by_a_console_that_knows_markup():
    sources = [p for top in ("dfd_core", "ingest", "workers", "trainer") for p in (ROOT / top).rglob("*.py")]
    assert len(sources) > 100
    texts = {str(p): p.read_text().replace("PlainConsole(", "") for p in sources}
    assert [path for path, text in texts.items() if "Console(" in text and "rich.console" in text] == []
    assert issubclass(PlainConsole, Console)


names = (
    st.binary(min_size=1, max_size=60)
    .filter(lambda name: not {0, 47} & set(name) and not name.startswith(b"._"))
    .map(lambda name: os.fsdecode(name + b".mp4"))
)


@SLOW
@given(st.lists(names, min_size=1, max_size=6, unique=True))
def test_scan_and_queue_keep_any_name(content, model, rig, tmp_path_factory, capsys, names):
    rig.redis.flushall()
    folder = tmp_path_factory.mktemp("any")
    for name in names:
        (folder / name).write_bytes(content)
    wanted = {str(folder / name) for name in names}
    capsys.readouterr()
    main(["scan", "--json", str(folder), *model])
    said = capsys.readouterr()
    assert {line["file"] for line in lines(said.out)} == wanted
    assert main(["scan", str(folder), *model]) == 1
    assert rig.dfd("submit", folder) == 0
    rig.work(scorer=load_scorer(rig.settings))
    capsys.readouterr()
    rig.dfd("results", "--format", "jsonl")
    assert {line["file"] for line in lines(capsys.readouterr().out)} == wanted
    for form in ("table", "csv", "html"):
        assert rig.dfd("results", "--format", form) == 0
        assert capsys.readouterr().err == ""
