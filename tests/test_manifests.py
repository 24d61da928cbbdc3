"""Rows of manifests and files in folders: each has its own result, whatever it is called."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfd_core.cli.main import main
from dfd_core.judging.manifests import OWN_COLUMNS
from dfd_core.media.files import search_files
from dfd_core.names import utf8
from dfd_core.queue.submitted import BulkState
from tests.fixtures_names import LATIN, SLOW, lines, placed

text = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    st.binary(max_size=6).map(os.fsdecode).filter(lambda t: "\0" not in t),
)
headers = st.lists(text.filter(lambda t: t and t not in OWN_COLUMNS | {"file", "\ufeff"}), max_size=3, unique=True)


@st.composite
def manifests(draw):
    header = draw(headers)
    row = st.tuples(st.sampled_from(["a.mp4", "b.mp4", LATIN]), *[text] * len(header))
    return ["file", *header], draw(st.lists(row, min_size=1, max_size=6))


@SLOW
@given(st.lists(manifests(), min_size=1, max_size=2))
def test_every_manifest_row_has_its_result_with_its_own_columns(content, rig, tmp_path_factory, capsys, tables):
    rig.redis.flushall()
    folder = tmp_path_factory.mktemp("rows")
    for name in ("a.mp4", "b.mp4", LATIN):
        (folder / name).write_bytes(content)
    wanted = Counter()
    for number, (header, rows) in enumerate(tables):
        path = folder / f"{number}.csv"
        with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as handle:
            csv.writer(handle).writerows([header, *rows])
        for _ in range(2):  # submitted again it is the same
            assert rig.dfd("submit", "--manifest", path) == 0
        wanted.update(tuple(zip(header, row, strict=True)) for row in rows)
    assert rig.book.queue.count == 1
    rig.work()
    capsys.readouterr()
    rig.dfd("results", "--format", "jsonl")
    found = Counter()
    for line in lines(capsys.readouterr().out):
        columns = {name: value for name, value in line.items() if name not in OWN_COLUMNS}
        columns["file"] = str(Path(columns["file"]).relative_to(folder))
        found[tuple(columns.items())] += 1
    assert Counter({tuple(sorted(row)): n for row, n in found.items()}) == Counter(
        {tuple(sorted(row)): n for row, n in wanted.items()}
    )
    assert rig.dfd("results", "--format", "csv", "--out", folder / "out") == 0
    with (folder / "out").open(newline="", encoding="utf-8") as handle:
        assert len(list(csv.DictReader(handle))) == wanted.total()


def test_the_same_relative_name_from_two_folders_is_two_files(content, rig, tmp_path, capsys, monkeypatch):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "clip.mp4").write_bytes(content + folder.encode())
        monkeypatch.chdir(tmp_path / folder)
        assert rig.dfd("submit", "clip.mp4") == 0
    rig.work()
    capsys.readouterr()
    rig.dfd("jobs", "--json")
    places = {line["absolute_path"] for line in lines(capsys.readouterr().out)}
    assert places == {str(tmp_path / folder / "clip.mp4") for folder in ("one", "two")}
    monkeypatch.setenv("COLUMNS", "400")
    rig.dfd("results")
    said = capsys.readouterr().out
    assert all(place in said for place in places)  # told apart where the name alone does not
    monkeypatch.chdir(tmp_path)
    assert rig.dfd("jobs", "retry", "clip.mp4") == 1
    assert "was submitted from several folders: give the whole path" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path / "one")
    assert rig.dfd("jobs", "retry", "clip.mp4") == 0


def test_equal_contents_in_two_folders_are_two_rows_of_one_job(content, rig, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "clip.mp4").write_bytes(content)
    rig.dfd("submit", "--recursive", tmp_path)
    assert rig.book.queue.count == 1
    rig.work()
    assert [entry.state for entry in rig.book.entries()] == [BulkState.DONE] * 2


def test_two_manifests_keep_their_own_columns_of_one_file(content, rig, tmp_path, capsys):
    (tmp_path / "clip.mp4").write_bytes(content)
    for name, text in (
        ("a.csv", "file,case\nclip.mp4,A-17\nclip.mp4,A-17\n"),
        ("b.csv", "file,source\nclip.mp4,web\n"),
    ):
        (tmp_path / name).write_text(text)
        assert rig.dfd("submit", "--manifest", tmp_path / name) == 0
    rig.work()
    capsys.readouterr()
    rig.dfd("results", "--format", "jsonl")
    rows = lines(capsys.readouterr().out)
    assert [(row.get("case"), row.get("source")) for row in rows] == [("A-17", None)] * 2 + [(None, "web")]


def test_a_file_that_the_manifest_names_too_is_no_further_row(content, rig, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(content)
    (tmp_path / "m.csv").write_text("file,case\nclip.mp4,A\n")
    rig.dfd("submit", "--manifest", tmp_path / "m.csv", tmp_path)
    assert [entry.file.columns for entry in rig.book.entries()] == [{"case": "A"}]


@pytest.mark.parametrize("command", ["submit", "evaluate"])
@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        ("file,label,verdict,frames\na.mp4,real,x,7\n", "has frames, verdict as a column"),
        ("file,label,fake_probability\na.mp4,real,1\n", "has fake_probability as a column"),
        ("file,label,sha256\na.mp4,real,x\n", "rename it"),
        ("file,label,x,x\na.mp4,real,1,2\n", "has the column 'x' more than once"),
        ("file,label\na.mp4,real\n,fake\n", "Line 3 of .* names no file"),
        ("file,label\na.mp4,real,more\n", "Line 2 of .* more cells"),
        ('file,label\n"a.mp4,real\n', "cannot be read"),
        ("", "lacks the column file"),
        ("file,label\n", "has no rows"),
    ],
)
def test_what_would_lose_a_column_or_a_row_is_refused(command, manifest, sentence, rig, tmp_path, capsys):
    path = tmp_path / "m.csv"
    path.write_text(manifest)
    (tmp_path / "a.mp4").write_bytes(b"x")
    words = ["submit", "--manifest", path] if command == "submit" else ["evaluate", path, "--out", tmp_path / "out"]
    assert rig.dfd(*words) == 1
    error = capsys.readouterr().err
    assert re.search(sentence, error)
    assert error.count("\n") == 1
    assert rig.book.entries() == []


def test_nothing_that_results_write_is_free_for_a_manifest(content, rig, tmp_path, capsys):
    (tmp_path / "clip.mp4").write_bytes(content)
    rig.dfd("submit", tmp_path / "clip.mp4")
    rig.work()
    capsys.readouterr()
    rig.dfd("results", "--format", "jsonl")
    (row,) = lines(capsys.readouterr().out)
    rig.dfd("results", "--format", "csv")
    (cells,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert set(row) | set(cells) <= OWN_COLUMNS | {"file"}


def test_unnamed_empty_columns_of_spreadsheets_are_no_columns(content, rig, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(content)
    (tmp_path / "m.csv").write_text("\ufefffile,case,,\r\nclip.mp4,A,,\r\n\r\n", newline="")
    assert rig.dfd("submit", "--manifest", tmp_path / "m.csv") == 0
    assert [entry.file.columns for entry in rig.book.entries()] == [{"case": "A"}]


@pytest.mark.parametrize("name", ["\0.mp4", "x" * 300 + ".mp4", "~nobody.mp4", "loop.mp4", "folder"])
def test_a_manifest_row_that_is_no_file_is_left_out_with_a_sentence(name, content, rig, tmp_path, capsys):
    (tmp_path / "clip.mp4").write_bytes(content)
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    (tmp_path / "m.csv").write_text(f"file\n{name}\nclip.mp4\n")
    assert rig.dfd("submit", "--manifest", tmp_path / "m.csv") == 1
    said = capsys.readouterr()
    assert said.out == "1 queued, 0 known already (same content and model), 1 left out\n"
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("scheme", ["rtsp", "HTTP"])
def test_an_address_that_is_no_file_is_left_out_without_its_password(scheme, content, rig, tmp_path, capsys):
    (tmp_path / "clip.mp4").write_bytes(content)
    assert rig.dfd("submit", tmp_path / "clip.mp4", f"{scheme}://me:hunter2@h/1.mp4") == 1
    told = capsys.readouterr()
    assert "1 queued, 0 known already (same content and model), 1 left out" in told.out
    assert "h/1.mp4 is not a file" in told.err
    assert "hunter2" not in told.err + told.out


def test_linked_folders_are_followed_once_and_what_is_left_out_is_told(content, tmp_path, model, capsys):
    top, elsewhere = tmp_path / "top", tmp_path / "elsewhere"
    (top / "z" / "deep").mkdir(parents=True)
    elsewhere.mkdir()
    for path in (top / "z" / "deep" / "a.mp4", elsewhere / "b.MTS", top / "c.JFIF", top / "._c.jpg", top / "d.txt"):
        path.write_bytes(content)
    (top / "linked").symlink_to(elsewhere)
    (top / "again").symlink_to(elsewhere)
    (top / "a-loop").symlink_to(top)
    (top / "a-z").symlink_to(top / "z")
    (top / "gone.mp4").symlink_to(top / "nowhere.mp4")
    (top / "file.mp4").symlink_to(top / "z" / "deep" / "a.mp4")
    found = search_files([top])
    assert {path.name for path in found.files} == {"a.mp4", "b.MTS", "c.JFIF", "file.mp4"}
    assert (top / "z" / "deep" / "a.mp4") in found.files  # by its own name, not by a link's
    main(["scan", str(top), *model])
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for part in ("1 beside real files (._*", "1 of no known kind (.txt)", "3 folders that were searched", "1 broken"):
        assert part in said


@pytest.mark.parametrize(
    "suffix", ["heic", "heif", "jfif", "vob", "m2v", "mxf", "insv", "3g2", "m1v", "mod", "tod", "dav", "jpe"]
)
def test_suffixes_of_cameras_discs_and_phones_are_known(suffix, tmp_path):
    for name in (f"a.{suffix}", f"b.{suffix.upper()}"):
        (tmp_path / name).write_bytes(b"x")
    found = search_files([tmp_path])
    assert len(found.files) == 2
    assert not found.left_out


@pytest.mark.parametrize("name", ["\0.mp4", "x" * 300 + ".mp4", "~nobody.mp4", "loop.mp4", "folder"])
def test_a_row_of_evaluate_that_is_no_file_is_missing(name, content, model, tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    (tmp_path / "m.csv").write_text(f"file,label\n{name},real\n")
    assert main(["evaluate", str(tmp_path / "m.csv"), "--out", str(tmp_path / "out"), *model]) == 1
    assert "not scored: 1 real (1 the file is missing)" in capsys.readouterr().out


def test_folders_that_submit_does_not_search_are_told(content, rig, tmp_path, capsys):
    placed(tmp_path / "deeper" / "a.mp4", content)
    placed(tmp_path / "b.mp4", content)
    assert rig.dfd("submit", tmp_path) == 0
    assert capsys.readouterr().err == "dfd: Left out: 1 folders, which --recursive searches.\n"


@pytest.mark.parametrize("name", ["a.mp4", LATIN])
def test_scores_of_evaluate_keep_the_manifest_and_its_order(name, content, model, tmp_path):
    for each in ("a.mp4", LATIN):
        (tmp_path / each).write_bytes(content)
    manifest = tmp_path / "m.csv"
    with manifest.open("w", newline="", encoding="utf-8", errors="surrogateescape") as handle:
        csv.writer(handle).writerows([["file", "label", "case"], [name, "real", "[x]"], [name, "fake", "line\nbreak"]])
    assert main(["evaluate", str(manifest), "--out", str(tmp_path / "out"), *model]) == 1  # no face: none was scored
    with (tmp_path / "out" / "scores.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["file"], row["case"]) for row in rows] == [(utf8(name), "[x]"), (utf8(name), "line\nbreak")]
