"""Cameras of this machine, by Video4Linux: v4l2:///dev/video0."""

from __future__ import annotations

import re

from dfd_core.errors import VideoError
from dfd_core.media.live import LiveSource
from dfd_core.settings import VideoSettings


def open_source(url: str, name: str, settings: VideoSettings, live: bool | None = None) -> LiveSource:
    """The source for a v4l2:// URL; VideoError for one that names no device."""
    if re.fullmatch(r"v4l2:///dev/[\w./-]+", url, re.IGNORECASE) is None or ".." in url:
        raise VideoError(f"{url} names no camera: give v4l2:///dev/video0, or another device.")
    return LiveSource(url, name, settings)
