"""Celeb-DF v2 (Li et al., CVPR 2020)."""

from __future__ import annotations

import re
from pathlib import Path

from dfd_core.errors import DataError
from trainer.data.layouts import LabelledFile, videos_in

_LIST = "List_of_testing_videos.txt"


class CelebDF:
    """Celeb-real/idX_NNNN.mp4, Celeb-synthesis/idX_idY_NNNN.mp4 and YouTube-real/NNNNN.mp4.

    The files of List_of_testing_videos.txt are the official test split. They share most of their people with the other
    files, which a split by identity then leaves out: build with `--split group` to train on this collection.
    """

    name = "celeb-df"
    help = "Celeb-real/, Celeb-synthesis/, YouTube-real/ and the list of testing videos"

    def files(self, root: Path) -> list[LabelledFile]:
        """All videos of the three folders."""
        testing = _testing(root / _LIST)
        found = []
        for folder in ("Celeb-real", "Celeb-synthesis", "YouTube-real"):
            for path in videos_in(root / folder):
                people = tuple(re.findall(r"id\d+", path.stem)) or (f"youtube-{path.stem}",)
                split = "test" if f"{folder}/{path.name}" in testing else None
                found.append(LabelledFile(path, folder == "Celeb-synthesis", people, folder, split=split))
        if not found:
            raise DataError(f"{root} has none of Celeb-real, Celeb-synthesis and YouTube-real.")
        return found


def _testing(path: Path) -> set[str]:
    """Lines are `1 YouTube-real/00170.mp4`, where 1 is real."""
    if not path.is_file():
        return set()
    return {line.split(maxsplit=1)[1].strip() for line in path.read_text().splitlines() if len(line.split()) > 1}
