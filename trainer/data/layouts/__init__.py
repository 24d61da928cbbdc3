"""How known collections of videos are laid out on disk: one file each behind one Protocol.

To add a collection, write one module with a class of this Protocol and list it in `_layouts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dfd_core.errors import DataError
from dfd_core.media.files import is_media
from dfd_core.media.region import Region

SPLITS = ("train", "validation", "test")
CLASSES = (False, True)  # real, fake


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """A video or picture of a collection.

    `identities` are the people, or the source videos, that it shows or was made of: what must not be on both sides of
    a split. `split` is the collection's own choice, None where it makes none. `pair` is the real file that a fake was
    made from or is shown beside, `source` where both come from (a page, a repository), `licence` what is stated there.
    Only the `region` of each frame is looked at: left, top, right and bottom as shares of its sides. Where `crops` are
    given, those pictures of one face each are taken, and the file itself is not read.
    """

    path: Path
    fake: bool
    identities: tuple[str, ...]
    method: str = ""
    compression: str = ""
    split: str | None = None
    family: str = ""
    source: str = ""
    pair: Path | None = None
    licence: str = ""
    region: Region | None = None
    crops: tuple[Crop, ...] = ()


@dataclass(frozen=True, slots=True)
class Crop:
    """A picture of a face that was cut as in serving, its media time in seconds, and the face's width in frame px."""

    path: Path
    time_s: float
    face_px: int


class Layout(Protocol):
    """Finds the files of one kind of collection."""

    name: str
    help: str

    def files(self, root: Path) -> list[LabelledFile]:
        """All labelled files under `root`, in a stable order; DataError where it is not laid out like this."""
        ...


def videos_in(folder: Path, pattern: str = "*") -> list[Path]:
    """Videos and pictures directly in `folder`, or wherever `pattern` leads, in order."""
    return sorted(p for p in folder.glob(pattern) if is_media(p) and p.is_file())


def layout_named(name: str) -> Layout:
    """The layout of that name; DataError names the known ones."""
    known = {layout.name: layout for layout in _layouts()}
    if name not in known:
        raise DataError(f"Unknown layout '{name}'; known are {', '.join(known)}.")
    return known[name]


def layout_names() -> list[str]:
    """The names of all layouts."""
    return [layout.name for layout in _layouts()]


def limited(files: Iterable[LabelledFile], limit: int | None, classes: Sequence[bool] = CLASSES) -> list[LabelledFile]:
    """The first `limit` files of each of `classes`, all where it is None; DataError where a class has none."""
    files = list(files)
    by_class = {fake: [f for f in files if f.fake is fake] for fake in classes}
    if not by_class[False]:
        raise DataError("There is no real file in the collection: add some, for fakes alone teach nothing.")
    if not all(by_class.values()):
        raise DataError(
            "There is no fake file in the collection: add some, or say --real-only and make them with 'dfd data fakes'."
        )
    return [f for chosen in by_class.values() for f in chosen[:limit]]


def _layouts() -> tuple[Layout, ...]:
    from trainer.data.layouts.celeb_df import CelebDF
    from trainer.data.layouts.clips import Clips
    from trainer.data.layouts.dfdc import Dfdc
    from trainer.data.layouts.faceforensics import FaceForensics
    from trainer.data.layouts.folders import Folders
    from trainer.data.layouts.manifest import Manifest
    from trainer.data.layouts.portraits import Portraits

    return (Folders(), FaceForensics(), CelebDF(), Dfdc(), Manifest(), Portraits(), Clips())
