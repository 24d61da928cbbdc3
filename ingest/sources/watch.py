"""A folder that is watched: each video or picture that is put into it, one after the other, as one stream.

watch:///folder
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from stat import S_ISDIR
from urllib.parse import unquote

from watchfiles import Change, DefaultFilter, watch

from dfd_core.errors import VideoError
from dfd_core.media import read_frames
from dfd_core.media.files import is_media
from dfd_core.settings import VideoSettings
from dfd_core.types import Frame

_LOOK_MS = 500  # how long it waits for news before it looks whether files are whole
_WHOLE_S = 1.0  # a file that has not changed for so long is
_BETWEEN_S = 10.0  # media time from the end of one file to the next: no window shows two

_log = logging.getLogger("dfd.ingest")


class WatchedFolder:
    """New files of one folder; nothing is dropped, and a file that cannot be read is told and passed over."""

    live = False
    dropped = 0
    reconnects = 0
    clock_drift_s = 0.0

    def __init__(self, folder: Path, name: str, settings: VideoSettings) -> None:
        self.name, self.description = name, f"watch://{folder}"
        self.trouble: VideoError | None = None
        self.resting = False
        self._folder, self._settings = folder, settings
        self._waiting: dict[Path, tuple[int, float]] = {}  # size, and since when it is that

    def frames(self) -> Iterator[Frame]:
        """The sampled frames of each new file, for ever; VideoError where there is no such folder."""
        if not self._folder.is_dir():
            raise VideoError(f"{self._folder} is no folder that could be watched.")
        index, start_s = 0, 0.0
        self.resting = True
        for path in self._put_in():
            self.resting = False
            last = None
            for frame in self._read(path):
                last = replace(frame, index=index + frame.index, time_s=start_s + frame.time_s)
                yield last
            if last is not None:
                index, start_s = last.index + 1, last.time_s + _BETWEEN_S
            self.resting = True

    def _put_in(self) -> Iterator[Path]:
        """New files, each once it is whole; a folder that goes away is waited for, and watched again."""
        while True:
            place, self.trouble = self._place(), None
            try:
                for news in watch(
                    self._folder, watch_filter=_New(), recursive=False, rust_timeout=_LOOK_MS, yield_on_timeout=True
                ):
                    self._waiting |= {Path(put): (-1, 0.0) for _, put in news}
                    yield from self._whole()
                    if self._place() != place:
                        break
            except FileNotFoundError:
                pass  # it went away just now
            except OSError as error:
                raise VideoError(f"{self._folder} cannot be watched: {error.strerror or error}.") from None
            while self._place() is None:
                self._report(VideoError(f"{self._folder} is gone: what is put into it is read once it is back."))
                time.sleep(_LOOK_MS / 1000)

    def _place(self) -> tuple[int, int] | None:
        """Which folder it is: one that was made or mounted anew tells those who watch it no more; None: none."""
        try:
            found = self._folder.stat()
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if S_ISDIR(found.st_mode) else None

    def _report(self, trouble: VideoError) -> None:
        if str(trouble) != str(self.trouble):
            _log.warning("%s: %s", self.name, trouble)
        self.trouble = trouble

    def _whole(self) -> list[Path]:
        """Those of the waiting files that nobody writes any more; they wait no longer."""
        whole, now = [], time.monotonic()
        for path, (size, since) in list(self._waiting.items()):
            try:
                found = path.stat().st_size
            except OSError:
                del self._waiting[path]
                continue
            if found != size:
                self._waiting[path] = found, now
            elif now - since >= _WHOLE_S:
                del self._waiting[path]
                whole.append(path)
        return whole

    def _read(self, path: Path) -> Iterator[Frame]:
        try:
            yield from read_frames(str(path), self.name, self._settings, live=False)
            self.trouble = None
        except VideoError as error:
            self.trouble = error
            _log.warning("%s: %s Going on with the next file.", self.name, error)


class _New(DefaultFilter):
    """Videos and pictures that were put in or written."""

    def __call__(self, change: Change, path: str) -> bool:
        return change is not Change.deleted and is_media(Path(path)) and super().__call__(change, path)


def open_source(url: str, name: str, settings: VideoSettings, live: bool | None = None) -> WatchedFolder:
    """The source for a watch:// URL of an absolute path."""
    return WatchedFolder(Path(unquote(url.partition("://")[2])), name, settings)
