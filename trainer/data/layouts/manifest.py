"""A CSV that lists files and labels: the way in for everything else."""

from __future__ import annotations

import csv
from pathlib import Path

from dfd_core.errors import DataError
from trainer.data.layouts import SPLITS, LabelledFile


class Manifest:
    """Columns file and label (real or fake); group (identities, joined by +), method, compression, split if known."""

    name = "manifest"
    help = "a CSV with columns file, label, and group, method, compression, split where known"

    def files(self, root: Path) -> list[LabelledFile]:
        """The files of the CSV `root`, relative to its folder."""
        try:
            with root.open(newline="", encoding="utf-8-sig") as handle:
                rows = list(csv.DictReader(handle))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"Cannot read the manifest {root}: {error}.") from None
        if not rows or not {"file", "label"} <= set(rows[0]):
            raise DataError(f"The manifest {root} needs rows, and the columns file and label.")
        return [_file(root, number, row) for number, row in enumerate(rows, start=2)]


def _file(manifest: Path, number: int, row: dict[str, str]) -> LabelledFile:
    label, split = (row["label"] or "").strip().lower(), (row.get("split") or "").strip().lower() or None
    if label not in {"real", "fake"}:
        raise DataError(f"Line {number} of {manifest}: the label must be real or fake, not '{row['label']}'.")
    if split not in {None, *SPLITS}:
        raise DataError(f"Line {number} of {manifest}: the split must be one of {', '.join(SPLITS)}, not '{split}'.")
    path = manifest.parent / row["file"]
    group = (row.get("group") or "").strip() or Path(row["file"]).with_suffix("").as_posix()
    return LabelledFile(
        path, label == "fake", tuple(group.split("+")), row.get("method") or "", row.get("compression") or "", split
    )
