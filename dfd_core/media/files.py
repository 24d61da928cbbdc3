"""Which files a command means that is given files and folders."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dfd_core.media import MEDIA_SUFFIXES
from dfd_core.media.urls import scheme_of
from dfd_core.names import one_line

_KINDS = 6  # of other files that the sentence names
_COMPANION = "._"  # macOS keeps resource forks and thumbnails in such files beside the real ones (AppleDouble)


@dataclass(frozen=True, slots=True)
class Found:
    """`files` in order, each once; `left_out` counts what else lay in the folders, by reason."""

    files: list[Path]
    left_out: Counter[str]

    def sentence(self) -> str:
        """What was left out, and why."""
        told = ", ".join(f"{count} {why}" for why, count in self.left_out.most_common())
        return one_line(f"Left out: {told}.")


def is_media(path: Path) -> bool:
    """Whether its name is that of a video or an image, and not of what macOS keeps beside one."""
    return path.suffix.lower() in MEDIA_SUFFIXES and not path.name.startswith(_COMPANION)


def find_files(paths: Sequence[Path], *, deep: bool = True) -> list[Path]:
    """The files of `search_files`."""
    return search_files(paths, deep=deep).files


def search_files(paths: Sequence[Path], *, deep: bool = True) -> Found:
    """The files among `paths`, as given, and the videos and images in the folders among them.

    Folders are searched in depth, linked ones too, each once; with `deep` false no further than their own files.
    """
    found, others, left_out = dict[Path, None](), Counter[str](), Counter[str]()
    seen = set[tuple[int, int]]()
    for path in paths:
        if not os.path.isdir(path):  # as Path.is_dir, but without an error where it may not look
            found[_no_url(path)] = None
            continue
        for file in sorted(_inside(path, deep, seen, left_out)):
            if is_media(file):
                found[_no_url(file)] = None
            elif file.name.startswith(_COMPANION):
                left_out["beside real files (._*, made by macOS)"] += 1
            else:
                others[file.suffix.lower() or "no suffix"] += 1
    if others:
        kinds = ", ".join(kind for kind, _ in others.most_common(_KINDS)) + (", ..." if len(others) > _KINDS else "")
        left_out[f"of no known kind ({kinds})"] = others.total()
    return Found(list(found), +left_out)


def _no_url(path: Path) -> Path:
    """`path`, from the root where it is there and would be taken for a URL: a file in a folder named `rtsp:`."""
    return path.absolute() if scheme_of(str(path)) and os.path.lexists(path) else path


def _inside(top: Path, deep: bool, seen: set[tuple[int, int]], left_out: Counter[str]) -> Iterator[Path]:
    """What is a file in `top` and, with `deep`, below: real folders first, then linked ones not `seen` until then."""
    folders, linked = [top], list[Path]()
    while folders or linked:
        folder = folders.pop() if folders else linked.pop()
        try:
            status = folder.stat()
            entries = list(os.scandir(folder))
        except OSError:
            left_out["folders that cannot be opened"] += 1
            continue
        if (status.st_dev, status.st_ino) in seen:
            left_out["folders that were searched already (links)"] += folder.is_symlink()
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            try:
                inside = Path(entry.path)
                if entry.is_dir() and not deep:
                    left_out["folders, which --recursive searches"] += 1
                elif entry.is_dir():
                    (linked if entry.is_symlink() else folders).append(inside)
                elif entry.is_file():
                    yield inside
                else:
                    left_out["broken links, pipes, sockets or devices"] += 1
            except OSError:  # a link that leads to itself
                left_out["broken links, pipes, sockets or devices"] += 1
