"""Addresses that were typed in the wrong place: what is said of them repeats no password, whatever it consists of."""

import random
import string

import pytest

from dfd_core.cli.main import main
from dfd_core.names import without_addresses

PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " "


def passwords(count: int) -> list[str]:
    """Each printable character comes in some; none is so short that it stands in any sentence."""
    drawn = random.Random(22)
    return ["".join(drawn.choices(PRINTABLE, k=drawn.randint(8, 24))) for _ in range(count)]


WRONG = {
    "too much": ["doctor", "{}"],
    "an unknown flag": ["doctor", "--url={}"],
    "no number": ["work", "--processes", "{}"],
    "no choice": ["results", "--format", "{}"],
    "no setting": ["doctor", "--set", "{}"],
    "no command": ["{}"],
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_without_the_password(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    for number, password in enumerate(passwords(200)):
        url = f"admin:{password}@camera" if number % 2 else f"rtsp://admin:{password}@camera/1"
        assert main([word.format(url) if "{}" in word else word for word in words]) != 0
        said = capfd.readouterr()
        assert password not in said.out + said.err
        assert "dfd" in said.err


def test_what_holds_no_address_is_repeated() -> None:
    said = "unrecognized arguments: --porcesses 3"
    assert without_addresses(said, ["--porcesses", "3"]) == said
