"""The folder of all bundles, within its limits of size and age."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from dfd_core.errors import SettingsError
from dfd_core.queue.alarms import Alarm
from dfd_core.sections import EvidenceSettings
from workers.evidence.bundle import write_bundle
from workers.evidence.kept import is_unfinished

_NAME = re.compile(r"(?P<at>\d{8}T\d{6}Z)-(?P<stream>[A-Za-z0-9_-]+)-(?P<id>[0-9a-f]{24})", re.ASCII)
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

    def find(self, alarm_id: str) -> Path | None:
        """The bundle of an alarm; None where there is none."""
        return find_bundle(self._root, alarm_id)

    def unfinished(self) -> set[str]:
        """The ids of alarms that lasted when their bundles were written."""
        return {path.name.rpartition("-")[2] for path in self._sizes if is_unfinished(path)}

    def put(self, alarm: Alarm, files: Mapping[str, bytes]) -> Path:
        """Write the alarm's bundle, whole or not at all, in place of an earlier one; then make room. OSError."""
        at = datetime.fromtimestamp(alarm.opened_at_s, UTC).strftime("%Y%m%dT%H%M%SZ")
        final = self._root / f"{at}-{alarm.stream}-{alarm.id}"
        if _NAME.fullmatch(final.name) is None:
            raise OSError(f"{final.name!r} is no name of a bundle")
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
        return final

    def make_room(self, now_s: float | None = None) -> None:
        """Delete what is too old, and the oldest while all are too large."""
        oldest_s = (time.time() if now_s is None else now_s) - self._settings.max_days * 86_400
        oldest = datetime.fromtimestamp(max(oldest_s, 0.0), UTC).strftime("%Y%m%dT%H%M%SZ")
        for path in sorted(self._sizes):
            if path.name >= oldest and self.size <= self._settings.max_bytes:
                break
            shutil.rmtree(path, ignore_errors=True)
            del self._sizes[path]

    def _bundles(self) -> list[Path]:
        return sorted(path for path in self._root.iterdir() if _NAME.fullmatch(path.name) and path.is_dir())


def find_bundle(root: Path, alarm_id: str) -> Path | None:
    """The bundle of an alarm in the folder of all; None where there is none, or no such folder."""
    if re.fullmatch(r"[0-9a-f]{24}", alarm_id) is None:
        return None
    return next((path for path in root.glob(f"*-{alarm_id}") if _NAME.fullmatch(path.name)), None)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
