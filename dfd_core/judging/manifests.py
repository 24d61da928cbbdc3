"""A manifest: a CSV that names files; its other columns come back beside what was found in each."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection
from dataclasses import fields
from pathlib import Path

from dfd_core.errors import DataError
from dfd_core.judging.report import Report
from dfd_core.judging.scoring import CHECKS

FILE = "file"
Row = dict[str, str]
OWN_COLUMNS = frozenset({field.name for field in fields(Report)} - {FILE}) | {
    *CHECKS, "absolute_path", "alarms", "model", "pictures", "scored_at_s", "seconds", "sha256", "thresholds",
    "worst_start_s", "worst_end_s",
}  # fmt: skip


def read_manifest(
    path: Path, needed: Collection[str] = (FILE,), wrong: Callable[[Row], str | None] = lambda row: None
) -> list[Row]:
    """Its rows, as `read_table` reads them; DataError too for a row without a file, and for columns that results have.

    So nobody's column is written over. `wrong` says what is wrong with a row.
    """
    table = read_table(path, needed, OWN_COLUMNS)
    for line, row in table:
        fault = wrong(row) if row[FILE] else "it names no file"
        if fault:
            raise DataError(f"Line {line} of {path}: {fault}.")
    return [row for _, row in table]


def read_table(path: Path, needed: Collection[str], own: Collection[str] = frozenset()) -> list[tuple[int, Row]]:
    """The rows of a CSV and the lines that they end in, each with every column; bytes that are no UTF-8 are kept.

    DataError, with the line, unless it has rows and the columns `needed`, each column once, none of `own`, and each
    cell below one.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as handle:
            reader = csv.reader(handle, strict=True)
            names = next(reader, [])
            lines = [(reader.line_num, cells) for cells in reader if cells]
    except (OSError, csv.Error) as error:
        raise DataError(f"The manifest {path} cannot be read ({error}).") from None
    kept = [n for n, name in enumerate(names) if name or any(cell for _, cells in lines for cell in cells[n : n + 1])]
    _check_header(path, [names[n] for n in kept], needed, own)
    if not lines:
        raise DataError(f"The manifest {path} has no rows.")
    for line, cells in lines:
        if any(cells[len(names) :]):
            raise DataError(f"Line {line} of {path} has more cells than the header has columns.")
    return [(line, {names[n]: cells[n] if n < len(cells) else "" for n in kept}) for line, cells in lines]


def _check_header(path: Path, names: list[str], needed: Collection[str], own: Collection[str]) -> None:
    missing = sorted(set(needed) - set(names))
    if missing:
        wanted = " and ".join(f"a column '{name}'" for name in needed)
        raise DataError(
            f"The manifest {path} lacks the column {' and '.join(missing)}: it needs a header with {wanted}, "
            "commas between columns, and UTF-8."
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"The manifest {path} has the column '{twice[0]}' more than once: rename one.")
    taken = sorted(set(own).intersection(names))
    if taken:
        raise DataError(
            f"The manifest {path} has {', '.join(taken)} as a column, which dfd writes beside files itself: rename it."
        )
