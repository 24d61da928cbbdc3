"""SRT, where FFmpeg has it; PyAV's wheels are built without."""

from __future__ import annotations

from dfd_core.errors import VideoError
from dfd_core.media import redact
from dfd_core.media.live import LiveSource
from dfd_core.media.protocols import is_built_in
from dfd_core.settings import VideoSettings


def open_source(url: str, name: str, settings: VideoSettings, live: bool | None = None) -> LiveSource:
    """The source for an srt:// URL; VideoError where this PyAV cannot read it."""
    if not is_built_in("srt"):
        raise VideoError(
            f"Cannot read {redact(url)}: PyAV is built without SRT here. Relay it, as by `srt-live-transmit URL "
            "udp://127.0.0.1:9000` of srt-tools, and give udp://127.0.0.1:9000."
        )
    return LiveSource(url, name, settings)
