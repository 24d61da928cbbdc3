"""What sources are called: paths and URLs, their kinds, and names that are fit to be shown."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, unquote

from dfd_core.names import CREDENTIAL

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
_LIVE_SCHEMES = frozenset(
    {"rtsp", "rtsps", "rtmp", "rtmpe", "rtmps", "rtmpt", "rtmpte", "rtmpts", "srt", "udp", "rtp", "v4l2"}
)
_SCHEME = re.compile(r"([A-Za-z][\w+.-]+):/")
_HOST = re.compile(r"(?P<host>[^/?#:@]+|\[[^/?#@]*\])(?P<port>:\d{1,5})?([/?#]|$)")
_BARE_USER = re.compile(r"\A([\w+.-]*:?[/\\]{2})?[^/@]*:.*@", re.DOTALL)  # of an address whose scheme is torn
_HIDDEN = re.compile(rf"[?#]|{CREDENTIAL}", re.IGNORECASE)  # where what may be secret begins behind a host
_BARE = re.compile(r"[/?#@\[\]]|%(?![0-9A-Fa-f]{2})")  # what a quoted user name or password does not hold


def scheme_of(url: str) -> str:
    """The scheme of a URL in small letters; empty for a path."""
    found = _SCHEME.match(url)
    return found[1].lower() if found else ""


def redact(url: str) -> str:
    """`url` as scheme://host[:port]/path, fit to be shown: without user, password and query; paths stay as they are.

    All before the last @ goes, because passwords hold every character, quoted or not. So it does where the scheme was
    forgotten or torn, unless there is a file of that name. A path ends where it names a user, a password or a token.
    """
    scheme, slashes, rest = url.partition("://")
    if not slashes:
        scheme, slashes, rest = url.partition(":/")  # the one-slash typing error hides no password either
    if not slashes or scheme.lower() == "file" or not scheme_of(url):
        return url if scheme.lower() == "file" or os.path.lexists(url) else _BARE_USER.sub("", url, count=1)
    return f"{scheme}://" + _HIDDEN.split(rest.rpartition("@")[2], maxsplit=1)[0]


def for_ffmpeg(url: str) -> str:
    """`url` as FFmpeg reads it: the scheme in small letters, user and password quoted.

    They reach to the last @, unless what stands first is a host that no password follows. Either may be quoted already;
    one that holds what a quoted one cannot (a / ? # @ [ ], or a % that quotes nothing) is taken as it is.
    """
    scheme, rest = scheme_of(url), url.partition("://")[2]
    if not scheme or not rest:
        return url
    if scheme == "v4l2":
        return "/" + rest.partition("/")[2]
    user, place = _user_and_place(rest)
    if not user:
        return f"{scheme}://{place}"
    name, colon, password = user.partition(":")
    return f"{scheme}://{_quoted(name)}{colon}{_quoted(password)}@{place}"


def _user_and_place(rest: str) -> tuple[str, str]:
    """What is before and after the @ that ends the user part; before it is nothing where there is none."""
    user, at, place = rest.rpartition("@")
    first = _HOST.match(rest)
    if first is not None and (not first["port"] or re.search(r"[.\]]|^localhost$", first["host"])):
        return "", rest  # an @ in the path or the query
    return (user, place) if at else ("", rest)


def _quoted(text: str) -> str:
    return quote(text, safe="" if _BARE.search(text) else "%")


def local_path(url: str) -> Path | None:
    """The file that `url` names, None for everything that is not on this machine."""
    named = re.match(r"file://[^/]*([^?#]*)", url, re.IGNORECASE)
    if named is not None:
        return Path(unquote(named[1]))
    return None if scheme_of(url) else Path(url)


def is_live(url: str) -> bool:
    """Whether `url` gives frames at its own pace, as far as its name tells: HTTP may be either, see `found_live`."""
    scheme = scheme_of(url)
    if scheme in ("http", "https"):
        return Path("/" + _place(url).partition("?")[0].partition("/")[2]).suffix.lower() not in MEDIA_SUFFIXES
    return scheme in _LIVE_SCHEMES


def _place(url: str) -> str:
    """Host, path and query."""
    return _user_and_place(url.partition("://")[2])[1].partition("#")[0]


def stream_name(url: str) -> str:
    """A stable id of letters, digits, - and _, as `clip-mp4` or `camera-stream`; a query adds 4 digits of its hash."""
    path = local_path(url)
    if path is not None:
        text = (path if os.path.lexists(path) else Path(redact(url))).name
    else:
        text = redact(url).partition("://")[2] or url.partition(":")[0]
        query = _HIDDEN.search(_place(url)) if is_live(url) else None
        hidden = "" if query is None else query.string[query.start() :].removeprefix("?")
        text += "-" + hashlib.sha256(hidden.encode()).hexdigest()[:4] if hidden else ""
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")[-64:].strip("-") or "stream"


def stream_names(urls: Iterable[str]) -> list[str]:
    """The `stream_name` of each of `urls`, made distinct by -2, -3, ... in order."""
    names: list[str] = []
    for base in map(stream_name, urls):
        taken = set(names)
        tries = (base if n == 1 else f"{base}-{n}" for n in range(1, len(taken) + 2))
        names.append(next(name for name in tries if name not in taken))
    return names
