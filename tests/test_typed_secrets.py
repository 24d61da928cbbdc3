"""Addresses that were typed in the wrong place: what is said of them repeats no part of a password."""

from pathlib import Path

import pytest

from dfd_core.cli.main import main
from dfd_core.names import without_addresses
from tests.passwords import PASSWORDS, addresses, told

WRONG = {
    "too much": ["doctor", "{}"],
    "an unknown flag": ["doctor", "--url={}"],
    "no number": ["work", "--processes", "{}"],
    "no choice": ["results", "--format", "{}"],
    "no setting": ["doctor", "--set", "{}"],
    "no command": ["{}"],
    "a setting of numbers": ["doctor", "--set", "verdict.enter={}"],
    "a setting of whole numbers": ["work", "--set", "worker.processes={}"],
    "a setting of choices": ["doctor", "--set", "log.format={}"],
    "no settings file": ["doctor", "--config", "{}"],
    "no Redis": ["jobs", "--redis", "{}"],
    "no name of a stream": ["streams", "add", "{}", "--url", "x.mp4"],
    "no variable": ["streams", "add", "cam", "--url-env", "{}"],
    "a URL for Redis": ["streams", "add", "cam", "--url", "{}"],
    "a number of a stream": ["streams", "add", "cam", "--url", "x.mp4", "--fps", "{}"],
    "a label": ["streams", "add", "cam", "--url", "x.mp4", "--label", "{}"],
    "no page": ["scan", "x.mp4", "--out", "{}"],
    "no file to submit": ["submit", "{}"],
    "no evidence": ["evidence", "verify", "{}"],
    "no model": ["scan", __file__, "--set", "model.path={}"],
    "no webhook": ["monitor", "--set", "webhook.url=ftp{}"],
    "no broker": ["monitor", "--set", "mqtt.url=ftp{}"],
}
ALL = [*addresses("rtsp", "127.0.0.1:1/1"), *(f"admin:{password}@camera" for password in PASSWORDS[::4])]


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_without_the_password(
    words: list[str], capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for url in ALL:
        assert main([word.replace("{}", url) for word in words]) != 0
    said = capfd.readouterr()
    assert not told(said.out + said.err)
    assert said.err.count("dfd") >= len(ALL)


def test_files_that_are_addresses_are_not_shown(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main(["scan", *ALL[::12], "--out", str(page)]) == 1
    assert main(["scan", *ALL[::50], "--json"]) == 1
    assert main(["calibrate", ALL[-1], "--seconds", "1", "--out", str(tmp_path / "x.toml")]) == 1
    said = capfd.readouterr()
    assert not told(said.out + said.err + page.read_text())
    assert said.out.count("127.0.0.1:1/1") >= len(ALL[::50])


def test_what_holds_no_address_is_repeated() -> None:
    said = "unrecognized arguments: --porcesses 3"
    assert without_addresses(said, ["--porcesses", "3"]) == said
