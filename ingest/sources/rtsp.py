"""Cameras and recorders: RTSP, over TCP, UDP or TLS."""

from __future__ import annotations

from dfd_core.media.live import LiveSource
from dfd_core.settings import VideoSettings
from ingest.sources.file import FileSource


def open_source(url: str, name: str, settings: VideoSettings, live: bool | None = None) -> LiveSource | FileSource:
    """The source for an rtsp:// or rtsps:// URL, live unless `live` is false: then it is read once, to its end."""
    return FileSource(url, name, settings) if live is False else LiveSource(url, name, settings)
