"""What lists and folders of a collection may hold: names are data, nothing is taken twice, no side gets the other's."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from dfd_core.errors import DataError
from tests.fixtures_names import LATIN
from trainer.data.layouts import LabelledFile, layout_named

NAMES = ["a+b.mp4", "[x].mp4", " lead and trail .mp4", "50%,comma.mp4", 'quo"te.mp4', "line\nbreak.mp4", LATIN]


def listed(root: Path, text: str, *names: str) -> list[LabelledFile]:
    """What the layout `manifest` makes of the CSV `text` beside files of those names."""
    for name in names:
        (root / name).write_bytes(b"x")
    with (root / "m.csv").open("w", newline="", encoding="utf-8", errors="surrogateescape") as handle:
        handle.write(text)
    return layout_named("manifest").files(root / "m.csv")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("start", "end"), [("", "\n"), ("\ufeff", "\r\n")])
def test_a_manifest_names_any_file(tmp_path: Path, name: str, start: str, end: str) -> None:
    cell = '"' + name.replace('"', '""') + '"'
    (file,) = listed(tmp_path, f"{start}file,label,group{end}{cell}, Real ,ann{end}{end}", name)
    assert (file.path, file.fake, file.identities) == (tmp_path / name, False, ("ann",))


def test_spaces_around_cells_do_not_count_where_no_file_is_called_so(tmp_path: Path) -> None:
    (file,) = listed(tmp_path, "file,label\n a.mp4 , fake \n", "a.mp4")
    assert (file.path, file.fake, file.identities) == (tmp_path / "a.mp4", True, ("a",))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("file,label\na.mp4,real\na.mp4,fake\n", r"Line 3 of .* names .*a\.mp4 again, as line 2 does"),
        ("file,label,group\na.mp4,real,ann\n./a.mp4,real,ben\n", "again, as line 2 does"),
        ("file,label\na.mp4,real\nlink.mp4,real\n", r"link\.mp4 again"),
        ("file,label\na.mp4,real\n,fake\n", "Line 3 of .*: it names no file"),
        ("file,label\na.mp4,real\na\0b.mp4,fake\n", "Line 3 of .*: it names no file"),
        ("file,label,label\na.mp4,real,fake\n", "has the column 'label' more than once"),
        ("file,label\na.mp4,real,more\n", "Line 2 of .* more cells"),
        ("file;label\na.mp4;real\n", "lacks the column file and label"),
        ("file\na.mp4\n", "lacks the column label"),
        ('file,label\n"a.mp4,real\n', "cannot be read"),
        ("file,label\n", "has no rows"),
        ("", "lacks the column"),
    ],
)
def test_a_manifest_that_would_lose_or_mix_rows_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "link.mp4").symlink_to("a.mp4")
    with pytest.raises(DataError, match=sentence):
        listed(tmp_path, text, "a.mp4")


def test_both_halves_of_a_picture_are_two_rows(tmp_path: Path) -> None:
    text = 'file,label,region\na.mp4,real,"0,0,0.5,1"\na.mp4,fake,"0.5,0,1,1"\n'
    assert [file.fake for file in listed(tmp_path, text, "a.mp4")] == [False, True]


def test_columns_that_results_have_are_free_here(tmp_path: Path) -> None:
    assert len(listed(tmp_path, "file,label,model,seconds\na.mp4,real,x,3\n", "a.mp4")) == 1


def test_folders_follow_links_and_tell_what_they_leave_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    for path in (root / "Real" / "a.MP4", root / "FAKE" / "a_x.mkv", elsewhere / "deep" / "b.jfif"):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    (root / "Real" / "._a.mp4").write_bytes(b"x")
    (root / "Real" / "notes.txt").write_bytes(b"x")
    (root / "Real" / "ben").symlink_to(elsewhere)
    (root / "Real" / "loop").symlink_to(root / "Real")
    (root / "Real" / os.fsencode(LATIN).decode("latin-1")).write_bytes(b"x")
    with caplog.at_level(logging.WARNING, "dfd.data"):
        files = layout_named("folders").files(root)
    assert {(f.path.name, f.fake, f.identities) for f in files} == {
        ("a.MP4", False, ("a",)),
        ("b.jfif", False, ("ben",)),
        ("café.mp4", False, ("café",)),
        ("a_x.mkv", True, ("a",)),
    }
    (told,) = caplog.messages
    for part in ("1 beside real files", "1 of no known kind (.txt)", "1 folders that were searched"):
        assert part in told


def test_a_file_that_a_link_puts_on_both_sides_is_refused(tmp_path: Path) -> None:
    for name in ("Real/a.mp4", "Fake/b.mp4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "Real" / "more").symlink_to(tmp_path / "Fake")
    with pytest.raises(DataError, match=r"b\.mp4 is among the real files and, by a link, among the fakes"):
        layout_named("folders").files(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["[]", '{"a.mp4": [1]}', '{"a.mp4": {"label": 1}}', '{"a.mp4": "FAKE"}', "[" * 100_000, "\0", '{"a.mp4": {}}'],
)
def test_a_metadata_json_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "metadata.json").write_text(text)
    with pytest.raises(DataError, match=r"is not a metadata\.json of DFDC"):
        layout_named("dfdc").files(tmp_path)
