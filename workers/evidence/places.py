"""Where bundles are kept: a folder, or, by a URL, a store that fsspec knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Protocol

from dfd_core.errors import SettingsError
from dfd_core.queue.alarms import Alarm
from dfd_core.sections import EvidenceSettings
from dfd_core.types import WindowScore
from workers.evidence.bundle import Bundle, read_manifest
from workers.evidence.pictures import Shots
from workers.evidence.shelf import Shelf, find_bundle


class Shelves(Protocol):
    """What keeps bundles within limits of size and age."""

    @property
    def size(self) -> int:
        """Bytes of all bundles."""

    def has(self, alarm_id: str) -> bool:
        """Whether an alarm has a bundle."""

    def unfinished(self) -> set[str]:
        """The ids of alarms that lasted when their bundles were written."""

    def shots(self, alarm_id: str, windows: Sequence[WindowScore]) -> list[Shots]:
        """The crops that the bundle of an alarm has; OSError."""

    def put(self, alarm: Alarm, files: Mapping[str, bytes]) -> None:
        """Write the alarm's bundle in place of an earlier one; then make room. OSError."""

    def make_room(self, now_s: float | None = None) -> None:
        """Delete what is too old, and the oldest while all are too large."""


def is_remote(place: str) -> bool:
    """Whether it is a URL, and no folder."""
    return "://" in place


def open_shelf(settings: EvidenceSettings) -> Shelves:
    """SettingsError where `evidence.folder` cannot be used."""
    shelf: Shelves = _remote().RemoteShelf(settings) if is_remote(settings.folder) else Shelf(settings)
    return shelf


def open_bundle(place: str, alarm_id: str) -> Bundle | None:
    """The bundle of an alarm; None where there is none, or no such place."""
    if is_remote(place):
        remote: Bundle | None = _remote().remote_bundle(place, alarm_id)
        return remote
    found = find_bundle(Path(place).expanduser(), alarm_id) if place else None
    try:
        return None if found is None else Bundle(found.name, read_manifest(found), lambda name: _read(found, name))
    except (OSError, ValueError):
        return None


def remote_problems(url: str) -> Iterator[tuple[str, list[str]]]:
    """Name and problems of each bundle at or below a URL; SettingsError where it cannot be read."""
    yield from _remote().remote_problems(url)


def _read(folder: Path, name: str) -> bytes:
    return (folder / name).read_bytes()


def _remote() -> ModuleType:
    try:
        from workers.evidence import remote
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"Evidence in a store needs the package {error.name}: pip install 'dfd[s3]', or name a folder."
        ) from None
    return remote
