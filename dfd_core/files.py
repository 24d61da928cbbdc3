"""Which files a command means that is given files and folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dfd_core.video import MEDIA_SUFFIXES


def find_files(paths: Sequence[Path], *, deep: bool = True) -> list[Path]:
    """The files among `paths`, as given, and the videos and images in the folders among them, in order, each once.

    Folders are searched in depth, or with `deep` false no further than their own files.
    """
    found: dict[Path, None] = {}
    for path in paths:
        all_inside = path.rglob("*") if deep else path.glob("*")
        inside = sorted(p for p in all_inside if p.suffix.lower() in MEDIA_SUFFIXES and p.is_file())
        found.update(dict.fromkeys(inside if path.is_dir() else [path]))
    return list(found)
