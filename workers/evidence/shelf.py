"""The folder of all bundles, within its limits of size and age."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from dfd_core.errors import SettingsError
from dfd_core.queue.alarms import Alarm
from dfd_core.sections import EvidenceSettings
from dfd_core.types import WindowScore
from workers.evidence.bundle import write_bundle
from workers.evidence.kept import is_unfinished, kept_shots
from workers.evidence.pictures import Shots

NAME = re.compile(r"(?P<at>\d{8}T\d{6}Z)-(?P<stream>[A-Za-z0-9_-]+)-(?P<id>[0-9a-f]{24})", re.ASCII)
_DRAFT = ".draft-"  # a bundle that is being written; of a process that died, it is removed by the next


class Shelf:
    """Bundles in folders `TIME-STREAM-ID`, so that their names are in order of time."""

    def __init__(self, settings: EvidenceSettings) -> None:
        """SettingsError where the folder cannot be made or written."""
        self._root, self._settings = Path(settings.folder).expanduser(), settings
        try:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in self._root.glob(f"{_DRAFT}*"):
                shutil.rmtree(left, ignore_errors=True)
        except OSError as error:
            raise SettingsError(
                f"Evidence cannot be kept in {self._root}: {error.strerror}. Name another folder in evidence.folder."
            ) from None
        self._sizes = {path: _size(path) for path in self._bundles()}

    @property
    def size(self) -> int:
        """Bytes of all bundles."""
        return sum(self._sizes.values())

    def has(self, alarm_id: str) -> bool:
        """Whether an alarm has a bundle."""
        return find_bundle(self._root, alarm_id) is not None

    def unfinished(self) -> set[str]:
        """The ids of alarms that lasted when their bundles were written."""
        return {path.name.rpartition("-")[2] for path in self._sizes if is_unfinished(path)}

    def shots(self, alarm_id: str, windows: Sequence[WindowScore]) -> list[Shots]:
        """The crops that the bundle of an alarm has."""
        found = find_bundle(self._root, alarm_id)
        return [] if found is None else kept_shots(found, windows)

    def put(self, alarm: Alarm, files: Mapping[str, bytes]) -> None:
        """Write the alarm's bundle, whole or not at all, in place of an earlier one; then make room. OSError."""
        final = self._root / bundle_name(alarm)
        draft = self._root / f"{_DRAFT}{alarm.id}"
        old = self._root / f"{_DRAFT}{alarm.id}-old"
        try:
            write_bundle(draft, files)
            if final.exists():
                final.rename(old)
            draft.rename(final)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
        self._sizes[final] = _size(final)
        self.make_room()

    def make_room(self, now_s: float | None = None) -> None:
        """Delete what is too old, and the oldest while all are too large."""
        oldest = oldest_allowed(self._settings, time.time() if now_s is None else now_s)
        for path in sorted(self._sizes):
            if path.name >= oldest and self.size <= self._settings.max_bytes:
                break
            shutil.rmtree(path, ignore_errors=True)
            del self._sizes[path]

    def _bundles(self) -> list[Path]:
        return sorted(path for path in self._root.iterdir() if NAME.fullmatch(path.name) and path.is_dir())


def bundle_name(alarm: Alarm) -> str:
    """TIME-STREAM-ID; OSError where that is none."""
    name = f"{_stamp(alarm.opened_at_s)}-{alarm.stream}-{alarm.id}"
    if NAME.fullmatch(name) is None:
        raise OSError(f"{name!r} is no name of a bundle")
    return name


def oldest_allowed(settings: EvidenceSettings, now_s: float) -> str:
    """How the name of the oldest bundle that is kept begins."""
    return _stamp(max(now_s - settings.max_days * 86_400, 0.0))


def _stamp(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y%m%dT%H%M%SZ")


def find_bundle(root: Path, alarm_id: str) -> Path | None:
    """The bundle of an alarm in the folder of all; None where there is none, or no such folder."""
    if re.fullmatch(r"[0-9a-f]{24}", alarm_id) is None:
        return None
    return next((path for path in root.glob(f"*-{alarm_id}") if NAME.fullmatch(path.name)), None)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
