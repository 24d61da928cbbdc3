"""Cameras and other live streams: RTSP, RTMP, SRT, HTTP."""

from __future__ import annotations

from dfd_core.media.live import LiveSource
from dfd_core.settings import VideoSettings


def open_source(url: str, name: str, settings: VideoSettings) -> LiveSource:
    """The source for a live URL."""
    return LiveSource(url, name, settings)
