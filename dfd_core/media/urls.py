"""What sources are called: paths and URLs, their kinds, and names that are fit to be shown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

STILL_SUFFIXES = frozenset(
    {".apng", ".avif", ".bmp", ".heic", ".heif", ".hif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff"}
    | {".webp"}
)
VIDEO_SUFFIXES = frozenset(
    {".3g2", ".3gp", ".asf", ".avi", ".dav", ".divx", ".dv", ".f4v", ".flv", ".gif", ".insv", ".lrv", ".m1v", ".m2t"}
    | {".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mod", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts"}
    | {".mxf", ".ogm", ".ogv", ".qt", ".tod", ".ts", ".vob", ".webm", ".wmv"}
)
MEDIA_SUFFIXES = VIDEO_SUFFIXES | STILL_SUFFIXES
_LIVE_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "rtmps", "rtmpt", "srt", "udp", "rtp"})


def redact(url: str) -> str:
    """`url` as scheme://host[:port]/path, fit to be shown: without user, password and query; paths stay as they are.

    All before the last @ goes, because passwords hold every character, quoted or not.
    """
    scheme, slashes, rest = url.partition("://")
    if not slashes:
        scheme, slashes, rest = url.partition(":/")  # the one-slash typing error hides no password either
    if not slashes or scheme.lower() == "file":
        return url
    return f"{scheme}://" + re.split(r"[?#]", rest.rpartition("@")[2], maxsplit=1)[0]


def local_path(url: str) -> Path | None:
    """The file that `url` names, None for everything that is not on this machine."""
    if url.lower().startswith("file://"):
        return Path(unquote(urlsplit(url).path))
    return Path(url) if re.match(r"[A-Za-z][\w+.-]+:/", url) is None else None


def is_live(url: str) -> bool:
    """Whether `url` gives frames at its own pace: cameras and HTTP streams, but not paths or video files over HTTP."""
    scheme = url.partition("://")[0].lower()
    if scheme in ("http", "https"):
        return Path(urlsplit(url).path).suffix.lower() not in MEDIA_SUFFIXES
    return scheme in _LIVE_SCHEMES


def stream_name(url: str) -> str:
    """A stable id of letters, digits, - and _, as `clip-mp4` or `camera-stream`; a query adds 4 digits of its hash."""
    path = local_path(url)
    if path is not None:
        text = path.name
    else:
        text = redact(url).partition("://")[2] or url.partition(":")[0]
        query = urlsplit(url).query if is_live(url) else ""
        text += "-" + hashlib.sha256(query.encode()).hexdigest()[:4] if query else ""
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")[-64:].strip("-") or "stream"


def stream_names(urls: Iterable[str]) -> list[str]:
    """The `stream_name` of each of `urls`, made distinct by -2, -3, ... in order."""
    names: list[str] = []
    for base in map(stream_name, urls):
        taken = set(names)
        tries = (base if n == 1 else f"{base}-{n}" for n in range(1, len(taken) + 2))
        names.append(next(name for name in tries if name not in taken))
    return names
