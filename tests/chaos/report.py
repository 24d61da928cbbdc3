"""The table of a run, on the console and in docs/reliability.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.chaos.fault import Row

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
HEAD = ("fault", "seen after", "recovered after", "windows lost", "verdict")
BEGIN, END = "<!-- {name}: begin -->", "<!-- {name}: end -->"


def cells(row: Row) -> tuple[str, ...]:
    """What stands in the table of a fault."""
    if row.note.startswith("not tried"):
        return (row.name, "-", "-", "-", row.note)
    verdict = "pass" if row.passed else "FAIL: " + "; ".join(row.wrong)
    more = "; ".join(filter(None, (row.note, row.told)))
    seen = "need not be" if row.note else _seconds(row.seen_s)
    return (
        row.name,
        seen,
        _seconds(row.recovered_s),
        str(row.lost),
        f"{verdict} ({more})" if more else verdict,
    )


def table(rows: Sequence[Sequence[str]], head: Sequence[str] = HEAD) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def put(path: Path, name: str, text: str) -> None:
    """Write `text` between the marks of `name` in a page."""
    page = path.read_text(encoding="utf-8")
    begin, end = BEGIN.format(name=name), END.format(name=name)
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{path} has no marks of {name}.")
    path.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"
