"""Two folders, Real/ and Fake/."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path

from dfd_core.errors import DataError
from dfd_core.media.files import search_files
from trainer.data.layouts import LabelledFile

_log = logging.getLogger("dfd.data")
_SWAP = re.compile(r"(\d{3})_(\d{3})")  # FaceForensics++: the video 000 with the face of 003


class Folders:
    """Real/ and Fake/ in any case; a subfolder is an identity, else the name of the file is.

    A fake that is called like a real file, or like two of them joined by an underscore, is taken to be made of these;
    so is 000_003, as FaceForensics++ names its swaps, of 000 and 003. All of them stay on one side of a split.
    """

    name = "folders"
    help = "Real/ and Fake/, in any case; subfolders are identities, and a fake A_B is made of A and B"

    def files(self, root: Path) -> list[LabelledFile]:
        """All files below both folders."""
        found, seen = [], dict[str, bool]()
        for folder in sorted(p for p in root.glob("*") if p.is_dir() and p.name.lower() in {"real", "fake"}):
            is_fake, inside = folder.name.lower() == "fake", search_files([folder])
            if inside.left_out:
                _log.warning("%s: %s", folder, inside.sentence())
            for path in sorted(inside.files):
                inner = path.relative_to(folder)
                identity = inner.parts[0] if len(inner.parts) > 1 else path.stem
                found.append(LabelledFile(path, is_fake, (identity,)))
                if seen.setdefault(os.path.realpath(path), is_fake) is not is_fake:
                    raise DataError(f"{path} is among the real files and, by a link, among the fakes: remove one.")
        if not found:
            raise DataError(f"{root} has no video or picture in folders called Real and Fake.")
        people = {identity for file in found if not file.fake for identity in file.identities}
        return [replace(f, identities=_made_of(f.identities[0], people)) if f.fake else f for f in found]


def _made_of(name: str, people: AbstractSet[str]) -> tuple[str, ...]:
    """Of whom a fake of that name is made: those whose names its name joins, else the name itself."""
    swap = _SWAP.fullmatch(name)
    if swap and name not in people:
        return swap.group(1), swap.group(2)
    parts = ((name[:at], name[at + 1 :]) for at, letter in enumerate(name) if letter == "_")
    known = [tuple(part for part in pair if part in people) for pair in parts]
    return max(known, key=len, default=()) or (name,) if name not in people else (name,)
