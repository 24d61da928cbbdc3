"""Pictures of one face each, listed: real ones in faces.csv, and portraits that a generator made in generated.csv."""

from __future__ import annotations

import csv
from pathlib import Path

from dfd_core.errors import DataError
from trainer.data.layouts import LabelledFile

_REAL, _FAKE = ("faces.csv", "source"), ("generated.csv", "generator")  # list, and its column that becomes the method


class Portraits:
    """Columns file and source (of faces.csv) or generator (of generated.csv); lists lie in the folder or one below.

    Sources that are called alike up to their first underscore are a family: they may show the same people (us_house,
    us_congress), so the family is the identity. A generated portrait shows nobody else's face.
    """

    name = "portraits"
    help = "faces.csv (file, source: real) and generated.csv (file, generator: fake); families of sources stay together"

    def files(self, root: Path) -> list[LabelledFile]:
        """The files of both lists."""
        found = []
        for listing, row in _rows(root, *_REAL):
            family = row["source"].split("_", maxsplit=1)[0]
            found.append(LabelledFile(listing.parent / row["file"], False, (family,), row["source"]))
        for listing, row in _rows(root, *_FAKE):
            path = listing.parent / row["file"]
            found.append(LabelledFile(path, True, (f"generated-{path.stem}",), row["generator"]))
        if not found:
            raise DataError(f"{root} has no faces.csv with columns file and source.")
        return found


def _rows(root: Path, name: str, column: str) -> list[tuple[Path, dict[str, str]]]:
    rows = []
    for listing in sorted((*root.glob(name), *root.glob(f"*/{name}"))):
        try:
            with listing.open(newline="", encoding="utf-8-sig") as handle:
                own = list(csv.DictReader(handle))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"Cannot read the list of portraits {listing}: {error}.") from None
        if not own or not all(row.get("file") and row.get(column) for row in own):
            raise DataError(f"{listing} needs rows, and in each of them a file and its {column}.")
        rows += [(listing, row) for row in own]
    return rows
