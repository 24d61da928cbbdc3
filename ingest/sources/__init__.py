"""Where frames come from: one module a kind of source, found by the scheme of its URL.

A source module has `open_source(url, name, settings, live) -> Source`, where `live` is None unless somebody said so;
adding one is its file and the line of its scheme in `SOURCES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Protocol

from dfd_core.errors import VideoError
from dfd_core.media import redact, stream_name
from dfd_core.media.urls import scheme_of
from dfd_core.settings import VideoSettings
from dfd_core.types import Frame

SOURCES = {
    "": "file",
    "file": "file",
    "http": "http",
    "https": "http",
    "rtmp": "rtmp",
    "rtmpe": "rtmp",
    "rtmps": "rtmp",
    "rtmpt": "rtmp",
    "rtp": "rtp",
    "rtsp": "rtsp",
    "rtsps": "rtsp",
    "srt": "srt",
    "synthetic": "synthetic",
    "udp": "rtp",
    "v4l2": "v4l2",
    "watch": "watch",
}  # scheme of a URL: module


class Source(Protocol):
    """Sampled frames of one stream, in order, with rising media times."""

    name: str  # the stream's id: letters, digits, - and _
    description: str  # the URL or path, fit to be shown
    live: bool  # frames come at their own pace, and the newest matter most; else all matter
    dropped: int  # frames given up because the consumer was too slow; always 0 unless live
    reconnects: int  # how often a lost stream was opened again
    trouble: VideoError | None  # why no frames come just now; None while they do
    clock_drift_s: float  # how far the stamps of a live source have gone ahead of our clock; 0 of others
    resting: bool  # it waits on purpose before it opens a lost stream again

    def frames(self) -> Iterator[Frame]:
        """The frames; call once. A file ends, a live source goes on until the iterator is closed; raises VideoError."""
        ...


def open_source(url: str, settings: VideoSettings, name: str | None = None, live: bool | None = None) -> Source:
    """The source that `url` (or path) names, not yet opened; `name` is the stream's id, by default from the URL.

    `live` says whether it gives frames at its own pace; None: it is found out.
    Raises VideoError for a kind of URL that nobody reads, SettingsError for a wrong parameter in it.
    """
    scheme = scheme_of(url)
    if scheme not in SOURCES:
        raise VideoError(f"{redact(url)} is no source: give a path, or a URL of {', '.join(filter(None, SOURCES))}.")
    module = importlib.import_module(f"ingest.sources.{SOURCES[scheme]}")
    source: Source = module.open_source(url, name or stream_name(url), settings, live)
    return source
