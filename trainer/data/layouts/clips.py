"""Clips of real-world fakes and of real people, gathered from public repositories: clips.csv, and crops or videos."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from dfd_core.errors import DataError
from dfd_core.judging.manifests import Row
from trainer.data.layouts import Crop, LabelledFile
from trainer.data.layouts.manifest import is_fake, read_rows, region_of

_SPLITS = {"train": "train", "evaluate": "validation"}  # what the column use says
_LISTS = ("manifest.csv", "clips.csv")  # beside the videos; beside crops.csv
_RECURRING = ("GRID",)  # how the method of a collection begins whose speakers recur from one repository to the next
_NEEDED = ("file", "label", "id", "method", "family", "group", "use", "repo", "pair", "licence", "licence_where")


class Clips:
    """Columns file, id, label, family, method, group, use, region, repo, pair (an id), licence and licence_where.

    A folder with crops.csv (columns file, clip, time_s, face_px) gives single frames, the crops; any other the videos.
    Clips of which only evaluating is allowed validate. All of a collection whose speakers recur is one identity, as are
    groups that links.csv (columns group, person; see dfd data duplicates) gives to one person.
    """

    name = "clips"
    help = "clips.csv and crops.csv with their crops (--frames 1), or a folder of the videos with its manifest.csv"

    def files(self, root: Path) -> list[LabelledFile]:
        """The clips of the list in the folder `root`, or of the CSV `root`."""
        path = root if root.is_file() else next((root / name for name in _LISTS if (root / name).is_file()), None)
        if path is None:
            raise DataError(f"{root} holds neither clips.csv nor manifest.csv.")
        rows = read_rows(path, _NEEDED)
        crops, file_of = _crops(path.parent / "crops.csv"), {row["id"]: row["file"] for _, row in rows}
        persons = _persons(path.parent / "links.csv")
        files = []
        for number, row in rows:
            if row["use"] not in _SPLITS:
                raise DataError(f"Line {number} of {path}: use must be train or evaluate, not '{row['use']}'.")
            if crops is not None and not crops[row["id"]]:
                continue
            pair = file_of.get(row["pair"])
            files.append(
                LabelledFile(
                    path=path.parent / row["file"],
                    fake=is_fake(path, number, row),
                    identities=_identities(row, persons),
                    method=row["method"],
                    split=_SPLITS[row["use"]],
                    family=row["family"],
                    source=row["repo"],
                    pair=path.parent / pair if pair else None,
                    licence=f"{row['licence']} ({row['licence_where']})",
                    region=region_of(path, number, row),
                    crops=() if crops is None else tuple(crops[row["id"]]),
                )
            )
        return files


def _identities(row: Row, persons: dict[str, str]) -> tuple[str, ...]:
    recurring = (name for name in _RECURRING if row["method"].startswith(name))
    linked = {f"person {persons[row['group']]}"} if row["group"] in persons else ()
    return (row["group"], *recurring, *linked)


def _persons(path: Path) -> dict[str, str]:
    """The person of each group that is linked to others; none where there is no list of them."""
    if not path.is_file():
        return {}
    return {row["group"]: row["person"] for _, row in read_rows(path, ("group", "person"))}


def _crops(path: Path) -> dict[str, list[Crop]] | None:
    """The crops of each clip in order of time; None where there is no list of them."""
    if not path.is_file():
        return None
    found: dict[str, list[Crop]] = defaultdict(list)
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            for row in csv.DictReader(handle):
                crop = Crop(path.parent / row["file"], float(row["time_s"]), int(row["face_px"]))
                found[row["clip"]].append(crop)
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} must list crops in columns file, clip, time_s, face_px: {error}.") from None
    return defaultdict(list, {clip: sorted(crops, key=lambda crop: crop.time_s) for clip, crops in found.items()})
