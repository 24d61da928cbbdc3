"""Documents that name tests: these are there, and each line of docs/threat-model.md names what holds it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {path.name: path.read_text() for path in (ROOT / "docs").glob("*.md")}
PAGE = PAGES["threat-model.md"]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")][
    1:
]


def named_in(text: str) -> list[tuple[str, str]]:
    """Files of tests, and the test where one is named."""
    return re.findall(r"`(?:tests/)?(test_\w+\.py)(?:::(\w+))?`", text)


def test_each_line_names_what_holds_it() -> None:
    assert len(ROWS) > 15
    for row in ROWS:
        assert len(row) == 4
        assert named_in(row[3]), row


@pytest.mark.parametrize("page", PAGES)
def test_tests_that_are_named_are_there(page: str) -> None:
    for file, test in named_in(PAGES[page]):
        assert re.search(rf"def {test + '[(]' if test else 'test_'}", (ROOT / "tests" / file).read_text()), (file, test)
