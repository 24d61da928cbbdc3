"""Benchmarks write their figures between markers of pages that have them."""

import re
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PUT = [
    (path.name, *found)
    for path in sorted(BENCHMARKS.glob("*.py"))
    for found in re.findall(r'\bput\("(.+?)", "(.+?)", ', path.read_text())
]


@pytest.mark.parametrize(("program", "page", "name"), PUT)
def test_figures_come_between_the_markers_of_their_page(program, page, name, tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delitem(sys.modules, "pages", raising=False)
    import pages

    before = (pages.ROOT / page).read_text()
    (tmp_path / page).parent.mkdir(exist_ok=True)
    (tmp_path / page).write_text(before)
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    pages.put(page, name, "What was measured.")
    after = (tmp_path / page).read_text()
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    assert after == before.split(begin)[0] + begin + "What was measured.\n" + end + before.split(end)[1]
    with pytest.raises(SystemExit, match="has no markers"):
        pages.put(page, f"no-{name}", "")
