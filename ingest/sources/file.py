"""Video and picture files, on this machine or over HTTP: every sampled frame, as fast as it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dfd_core.errors import VideoError
from dfd_core.media import read_frames, redact
from dfd_core.media.live import LiveSource
from dfd_core.settings import VideoSettings
from dfd_core.types import Frame


@dataclass(slots=True)
class FileSource:
    """One file; nothing is dropped, the consumer sets the pace."""

    url: str
    name: str
    settings: VideoSettings
    live: bool = False
    dropped: int = 0
    reconnects: int = 0
    trouble: VideoError | None = None
    resting: bool = False
    clock_drift_s: float = 0.0

    @property
    def description(self) -> str:
        """The path or redacted URL."""
        return redact(self.url)

    def frames(self) -> Iterator[Frame]:
        """Its sampled frames; raises VideoError where it cannot be read."""
        return read_frames(self.url, self.name, self.settings, live=False)


def open_source(url: str, name: str, settings: VideoSettings, live: bool | None = None) -> FileSource | LiveSource:
    """The source for a path or a file:// URL; one that is said to be `live` is a pipe, or is written for ever."""
    return LiveSource(url, name, settings) if live else FileSource(url, name, settings)
