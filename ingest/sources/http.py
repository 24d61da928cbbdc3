"""HTTP: files, live streams (MPEG-TS, FLV, fragmented MP4, MJPEG) and HLS, which may be either."""

from __future__ import annotations

from dfd_core.media import found_live
from dfd_core.media.live import LiveSource
from dfd_core.settings import VideoSettings
from ingest.sources.file import FileSource


def open_source(url: str, name: str, settings: VideoSettings, live: bool | None = None) -> LiveSource | FileSource:
    """The source for an http:// or https:// URL; unless it is said whether it is `live`, the server is asked."""
    live = found_live(url, settings) if live is None else live
    return LiveSource(url, name, settings) if live else FileSource(url, name, settings)
