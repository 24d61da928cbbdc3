"""docs/threat-model.md: each line that is held names what holds it, and that is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "threat-model.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")][
    1:
]


def test_each_line_names_tests_that_there_are() -> None:
    assert len(ROWS) > 15
    for row in ROWS:
        assert len(row) == 4
        named = re.findall(r"`(test_\w+\.py)(?:::(\w+))?`", row[3])
        assert named, row
        for file, test in named:
            assert f"def {test or 'test_'}" in (ROOT / "tests" / file).read_text(), (file, test)
