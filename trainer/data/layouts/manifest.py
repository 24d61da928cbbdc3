"""A CSV that lists files and labels: the way in for everything else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dfd_core.errors import DataError
from dfd_core.judging.manifests import Row, read_table
from dfd_core.media.region import Region, parse_region
from trainer.data.layouts import SPLITS, LabelledFile

_NEEDED = ("file", "label")
_NAMES = ("file", "pair")  # columns of names of files


class Manifest:
    """Columns file and label (real or fake); where known split, group, and what else `LabelledFile` says of a file.

    A group names the identities, joined by +; without one the file is its own. A pair is the file of another row, and
    counts if that is there.
    """

    name = "manifest"
    help = "a CSV with columns file, label; group, method, family, compression, split, pair, region, source, licence"

    def files(self, root: Path) -> list[LabelledFile]:
        """The files of the CSV `root`, relative to its folder."""
        rows = read_rows(root)
        known = {row["file"] for _, row in rows}
        files = [_file(root, number, row, known) for number, row in rows]
        lines = dict[tuple[str, Region | None], int]()
        for (number, _), file in zip(rows, files, strict=True):
            first = lines.setdefault((os.path.realpath(file.path), file.region), number)
            if first != number:
                raise DataError(f"Line {number} of {root} names {file.path} again, as line {first} does: name it once.")
        return files


def read_rows(path: Path, needed: Sequence[str] = _NEEDED) -> list[tuple[int, Row]]:
    """The rows of a CSV with the columns `needed`, and their lines; DataError says what is wrong.

    Spaces around cells do not count, but for those of names of files that are there.
    """
    rows = read_table(path, needed)
    for number, row in rows:
        for name, cell in row.items():
            if name not in _NAMES or not os.path.lexists(path.parent / cell):
                row[name] = cell.strip()
        if "file" in needed and (not row["file"] or "\0" in row["file"]):
            raise DataError(f"Line {number} of {path}: it names no file.")
    return rows


def is_fake(path: Path, number: int, row: Row) -> bool:
    """The label of line `number`; DataError unless it is real or fake."""
    label = row["label"].lower()
    if label not in {"real", "fake"}:
        raise DataError(f"Line {number} of {path}: the label must be real or fake, not '{row['label']}'.")
    return label == "fake"


def region_of(path: Path, number: int, row: Row) -> Region | None:
    """The region of line `number`, None where it has none; DataError for a wrong one."""
    try:
        return parse_region(row.get("region", ""))
    except ValueError as error:
        raise DataError(f"Line {number} of {path}: {error}.") from None


def _file(manifest: Path, number: int, row: Row, known: set[str]) -> LabelledFile:
    split, pair = row.get("split", "").lower() or None, row.get("pair", "")
    if split not in {None, *SPLITS}:
        raise DataError(f"Line {number} of {manifest}: the split must be one of {', '.join(SPLITS)}, not '{split}'.")
    people = tuple(name for name in row.get("group", "").split("+") if name)
    return LabelledFile(
        path=manifest.parent / row["file"],
        fake=is_fake(manifest, number, row),
        identities=people or (Path(row["file"]).with_suffix("").as_posix(),),
        method=row.get("method", ""),
        compression=row.get("compression", ""),
        split=split,
        family=row.get("family", ""),
        source=row.get("source", ""),
        pair=manifest.parent / pair if pair in known else None,
        licence=row.get("licence", ""),
        region=region_of(manifest, number, row),
    )
