"""The Deepfake Detection Challenge data set (Dolhansky et al., 2020, arXiv:2006.07397)."""

from __future__ import annotations

import json
from pathlib import Path

from dfd_core.errors import DataError
from trainer.data.layouts import LabelledFile


class Dfdc:
    """Parts with a metadata.json each, that gives the label of every file and the original of every fake.

    The actors of one part return in other videos of that part: with three parts or more a part is the identity, with
    fewer the original video is.
    """

    name = "dfdc"
    help = "parts with metadata.json (label, original)"

    def files(self, root: Path) -> list[LabelledFile]:
        """All files of all parts that are there."""
        parts = sorted(root.glob("**/metadata.json"))
        if not parts:
            raise DataError(f"{root} has no metadata.json, which each part of DFDC holds.")
        return [file for part in parts for file in _part(part, by_part=len(parts) >= 3)]


def _part(metadata: Path, by_part: bool) -> list[LabelledFile]:
    try:
        entries = json.loads(metadata.read_text(encoding="utf-8"))
        rows = [(name, entry["label"].upper(), entry.get("original")) for name, entry in sorted(entries.items())]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DataError(f"{metadata} is not a metadata.json of DFDC: it must give each file its label.") from None
    found = []
    for name, label, original in rows:
        path = metadata.parent / name
        if path.is_file():
            identity = metadata.parent.name if by_part else Path(str(original or name)).stem
            found.append(LabelledFile(path, label == "FAKE", (identity,), "dfdc" if label == "FAKE" else ""))
    return found
