"""Streams by name: the tables of the settings file, and the sentence for everything that is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfd_core.environment import load_settings, load_streams
from dfd_core.errors import SettingsError
from dfd_core.settings import Settings
from dfd_core.streams import NUMBERS, StreamSpec, read_stream

GOOD = """
[video]
sample_fps = 6

[defaults]
fps = 5
labels = {site = "north", kind = "door"}

[streams.lobby]
url_env = "LOBBY_URL"
window = 24
stride = 8
min_face_px = 64
enter = 0.9
exit = 0.8
min_duration_s = 2
cooldown_s = 7.5
labels = {site = "south"}
live = true

[streams.clip_2]
url = "/videos/clip.mp4"
fps = 10
enabled = false
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "dfd.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_tables_become_streams_and_leave_the_settings_alone(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    settings = load_settings(path, environ={})
    lobby, clip = load_streams(path, settings)
    assert settings == Settings().with_values({"video.sample_fps": 6})
    assert lobby.labels == {"site": "south", "kind": "door"}
    assert (lobby.live, lobby.enabled, clip.live, clip.enabled) == (True, True, None, False)
    assert lobby.address({"LOBBY_URL": "rtsp://a:b@c/d"}) == "rtsp://a:b@c/d"
    assert clip.address({}) == "/videos/clip.mp4"
    own = lobby.settings(settings)
    assert (own.video.sample_fps, own.windows.frames, own.windows.stride, own.faces.min_width_px) == (5, 24, 8, 64)
    verdict = own.verdict
    assert (verdict.enter, verdict.exit, verdict.min_duration_s, verdict.cooldown_s) == (0.9, 0.8, 2.0, 7.5)
    assert clip.settings(settings).video.sample_fps == 10


def test_a_file_without_streams_has_none(tmp_path: Path) -> None:
    assert load_streams(written(tmp_path, "[video]\nsample_fps = 3\n"), Settings()) == []


@pytest.mark.parametrize("key", NUMBERS)
def test_every_number_takes_the_place_of_a_setting(key: str) -> None:
    changed = Settings().with_values({"windows.frames": 64})
    spec = read_stream("cam", {"url": "x", key: 0.5 if key in ("enter", "exit") else 32}, changed, "t")
    section, name = NUMBERS[key].split(".")
    assert getattr(getattr(spec.settings(changed), section), name) == spec.numbers[key]


WRONG = [
    ("[streams.cam]\nurl = 'x'\nfsp = 3", "Unknown key 'fsp' in [streams.cam] of {path}. Did you mean 'fps'?"),
    ("[defaults]\nmin_face = 3", "Unknown key 'min_face' in [defaults] of {path}. Did you mean 'min_face_px'?"),
    ("[defaults]\nurl = 'x'", "url cannot stand in [defaults] of {path}: each stream has an address of its own."),
    ("[streams.cam]\nfps = 3", "[streams.cam] of {path} has no address: give it url, url_env or url_file."),
    ("[streams.cam]\nurl = 'x'\nurl_env = 'X'", "[streams.cam] of {path} has url and url_env: give it one of them."),
    ("[streams.cam]\nurl = ''", "url in [streams.cam] of {path} must not be empty."),
    ("[streams.cam]\nurl = 4", "url in [streams.cam] of {path} must be a text, not 4."),
    (
        "[streams.cam]\nurl_env = 'DFD_CAM'",
        "url_env in [streams.cam] of {path} must be the name of a variable (letters, digits and _) that does not begin "
        "with DFD_.",
    ),
    ("[streams.cam]\nurl = 'x'\nfps = 'many'", "fps in [streams.cam] of {path} must be a number, not 'many'."),
    ("[streams.cam]\nurl = 'x'\nfps = true", "fps in [streams.cam] of {path} must be a number, not True."),
    ("[streams.cam]\nurl = 'x'\nfps = nan", "fps in [streams.cam] of {path} must be a number, not nan."),
    ("[streams.cam]\nurl = 'x'\nwindow = 2.5", "window in [streams.cam] of {path} must be a whole number, not 2.5."),
    ("[streams.cam]\nurl = 'x'\nfps = 0", "In [streams.cam] of {path}, video.sample_fps must be above 0."),
    (
        "[streams.cam]\nurl = 'x'\nenter = 0.4\nexit = 0.5",
        "In [streams.cam] of {path}, verdict.exit must not be above verdict.enter.",
    ),
    (
        "[defaults]\nenter = 2\n[streams.cam]\nurl = 'x'",
        "In [streams.cam] of {path}, verdict.enter and verdict.exit must be between 0 and 1.",
    ),
    ("[streams.cam]\nurl = 'x'\nlive = 1", "live in [streams.cam] of {path} must be true or false, not 1."),
    ("[streams.cam]\nurl = 'x'\nenabled = 'no'", "enabled in [streams.cam] of {path} must be true or false, not 'no'."),
    (
        "[streams.cam]\nurl = 'x'\nlabels = {floor = 2}",
        'labels in [streams.cam] of {path} must be a table of texts, as {{site = "north"}}.',
    ),
    (
        "[streams.cam]\nurl = 'x'\nlabels = 'a'",
        'labels in [streams.cam] of {path} must be a table of texts, as {{site = "north"}}.',
    ),
    (
        "[streams.cam]\nurl = 'x'\nlabels = {stream = 'a'}",
        "'stream' in labels of [streams.cam] of {path} cannot be a label: take up to 32 small letters, digits and _, "
        "but none of instance, job, le, quantile, stream.",
    ),
    (
        "[streams.cam]\nurl = 'x'\n[streams.cam.labels]\n" + "\n".join(f"l{n} = 'x'" for n in range(9)),
        "labels in [streams.cam] of {path} are 9: 8 are the most.",
    ),
    (
        f"[streams.cam]\nurl = 'x'\nlabels = {{site = '{'x' * 65}'}}",
        "The label site in [streams.cam] of {path} is longer than 64 characters.",
    ),
    (
        "[streams.'front door']\nurl = 'x'",
        "'front door' cannot be a stream's name: take up to 64 letters, digits, - and _.",
    ),
    ("[streams]\ncam = 'rtsp://x'", "[streams.cam] of {path} must be a table, as [streams.lobby] and lines below it."),
    ("streams = 3", "[streams] of {path} must be a table, as [streams.lobby] and lines below it."),
    ("defaults = 3", "[defaults] of {path} must be a table, as [streams.lobby] and lines below it."),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_one_sentence_says_what_is_wrong(text: str, sentence: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load_streams(path, Settings())
    assert str(caught.value) == sentence.format(path=path)


def test_an_address_is_read_where_it_is_kept(tmp_path: Path) -> None:
    kept = tmp_path / "lobby.url"
    kept.write_text("rtsp://admin:hunter2@cam/1\n", encoding="utf-8")
    assert StreamSpec("lobby", url_file=str(kept)).address({}) == "rtsp://admin:hunter2@cam/1"
    with pytest.raises(SettingsError, match=r"Stream lobby: the variable LOBBY_URL of url_env is not set\."):
        StreamSpec("lobby", url_env="LOBBY_URL").address({"LOBBY_URL": ""})
    kept.write_text("\nrtsp://admin:hunter2@cam/1", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"Stream lobby: the first line of its url_file .* is empty\."):
        StreamSpec("lobby", url_file=str(kept)).address({})
    kept.write_bytes(b"rtsp://hunter2\xff")
    for path, why in ((kept, "it is no text"), (tmp_path / "none", "No such file or directory"), (tmp_path, "Is a")):
        with pytest.raises(SettingsError, match=f"Stream lobby: cannot read its url_file .*: {why}") as caught:
            StreamSpec("lobby", url_file=str(path)).address({})
        assert "hunter2" not in str(caught.value)
