"""A CSV that lists files and labels: the way in for everything else."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from dfd_core.errors import DataError
from dfd_core.media.region import Region, parse_region
from trainer.data.layouts import SPLITS, LabelledFile

Row = Mapping[str, str]


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
        known = {row["file"] for row in rows}
        return [_file(root, number, row, known) for number, row in enumerate(rows, start=2)]


def read_rows(path: Path, needed: Sequence[str] = ("file", "label")) -> list[dict[str, str]]:
    """The rows of a CSV with the columns `needed`, cells without spaces around them; DataError says what is wrong."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            rows = [
                {name: (cell or "").strip() for name, cell in row.items() if name} for row in csv.DictReader(handle)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"Cannot read the manifest {path}: {error}.") from None
    if not rows or not set(needed) <= set(rows[0]):
        raise DataError(f"The manifest {path} needs rows, and the columns {' and '.join(needed)}.")
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
    group = row.get("group", "")
    return LabelledFile(
        path=manifest.parent / row["file"],
        fake=is_fake(manifest, number, row),
        identities=tuple(group.split("+")) if group else (Path(row["file"]).with_suffix("").as_posix(),),
        method=row.get("method", ""),
        compression=row.get("compression", ""),
        split=split,
        family=row.get("family", ""),
        source=row.get("source", ""),
        pair=manifest.parent / pair if pair in known else None,
        licence=row.get("licence", ""),
        region=region_of(manifest, number, row),
    )
