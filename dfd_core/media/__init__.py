"""A URL or a path to sampled `Frame`s, as a player shows them: the only package that knows the decoder.

That is FFmpeg through PyAV; Pillow and pillow-heif read what it does not: moving WebP and PNG, HEIF in tiles.
"""

from dfd_core.media.opening import VideoInfo, found_live, probe
from dfd_core.media.reading import read_frames
from dfd_core.media.urls import (
    MEDIA_SUFFIXES,
    STILL_SUFFIXES,
    VIDEO_SUFFIXES,
    is_live,
    local_path,
    redact,
    stream_name,
    stream_names,
)

__all__ = [
    "MEDIA_SUFFIXES",
    "STILL_SUFFIXES",
    "VIDEO_SUFFIXES",
    "VideoInfo",
    "found_live",
    "is_live",
    "local_path",
    "probe",
    "read_frames",
    "redact",
    "stream_name",
    "stream_names",
]
