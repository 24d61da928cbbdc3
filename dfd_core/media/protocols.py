"""Which kinds of URL are read, and what FFmpeg may do for each: nothing that a list or a server names leads elsewhere.

FFmpeg knows protocols that read any file or run through others (concat:, subfile:, data:, pipe:, file:), and formats
that are lists of further addresses. Each open allows the protocols of its kind alone, and no lists among local files.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import av

from dfd_core.errors import VideoError
from dfd_core.media.urls import local_path, redact, scheme_of
from dfd_core.settings import VideoSettings

_HTTP = "http,https,httpproxy,tcp,tls,crypto"
_RTMP = "rtmp,rtmpe,rtmps,rtmpt,rtmpte,rtmpts,ffrtmphttp,ffrtmpcrypt,http,https,tcp,tls"
_RTSP = "rtsp,rtp,srtp,udp,tcp,tls,http,https"
_ALLOWED = {
    **dict.fromkeys(("http", "https"), _HTTP),
    **dict.fromkeys(("rtmp", "rtmpe", "rtmps", "rtmpt", "rtmpte", "rtmpts"), _RTMP),
    **dict.fromkeys(("rtsp", "rtsps"), _RTSP),
    **dict.fromkeys(("udp", "rtp"), "rtp,udp"),
    "srt": "srt",
    "v4l2": "file",
}
_LISTS = frozenset({"concat", "dash", "hls", "applehttp", "imf", "lavfi", "rtsp", "sap", "sdp", "webm_dash_manifest"})
_LIST = re.compile(rb"\s*(#EXTM3U|ffconcat version|<\?xml[^>]*>\s*<MPD|<MPD|v=0\s)")  # what they begin with
_SEGMENTS_BACK = "-2"  # of a live list, at which reading begins: one is spare where the next comes late


def check_kind(url: str) -> None:
    """VideoError for a kind of URL that is not read, and for a local list of other addresses."""
    path = local_path(url)
    if path is None:
        if scheme_of(url) not in _ALLOWED:
            raise VideoError(
                f"Cannot open {redact(url)}: unknown kind of URL; give a path, or one of rtsp, rtmp, srt, http or v4l2."
            )
    elif _is_list(path):
        raise VideoError(f"{path} is a list of other files or addresses, which is not followed: give these.")


def options_for(url: str, settings: VideoSettings) -> dict[str, str]:
    """FFmpeg's options for one open; not `nobuffer`, which throws the first key frame away."""
    microseconds = str(int((max(settings.open_timeout_s, settings.read_timeout_s) + 1) * 1e6))  # after PyAV's timeouts
    if local_path(url) is not None:  # a file is a file: a playlist in disguise must not make us fetch what it names
        return {"protocol_whitelist": "file", "format_whitelist": _formats_of_files(), "pattern_type": "none"}
    scheme = scheme_of(url)
    options = {"protocol_whitelist": _ALLOWED[scheme]}
    if scheme in ("rtsp", "rtsps"):
        transport = {"rtsp_transport": settings.rtsp_transport, "allowed_media_types": "video"}
        return {**options, **transport, "timeout": microseconds}
    if scheme in ("http", "https"):
        options["live_start_index"] = _SEGMENTS_BACK
    # FFmpeg looks at a stream for up to 5 s before it counts as open; cut short by the timeout, it never reads on
    analysed = str(int(min(5.0, settings.open_timeout_s / 2) * 1e6))
    return {**options, "rw_timeout": microseconds, "analyzeduration": analysed}


def is_of_a_known_kind(url: str) -> bool:
    """Whether `url` is a path or of a scheme that is read here; whether this one can be, opening it tells."""
    return scheme_of(url) in ("", "file", *_ALLOWED)


@cache
def is_built_in(scheme: str) -> bool:
    """Whether this FFmpeg has the protocol; PyAV's wheels leave some out."""
    try:
        av.open(f"{scheme}://", timeout=1.0).close()
    except av.ProtocolNotFoundError:
        return False
    except (av.FFmpegError, OSError):
        return True
    return True


@cache
def _formats_of_files() -> str:
    return ",".join(sorted(av.formats_available - _LISTS))


def _is_list(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _LIST.match(file.read(64)) is not None
    except OSError:
        return False
