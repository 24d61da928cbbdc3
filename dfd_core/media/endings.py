"""What the bytes of a file say of its end and of holes in it, where FFmpeg says nothing of that."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from av.container import InputContainer

BARE = ("av1", "h264", "hevc", "m4v", "mjpeg", "mpegvideo", "obu", "vc1", "vvc")  # codecs' streams without a container
TELL_LENGTH = (
    "mov",
    "matroska",
    "avi",
    "flv",
    "asf",
    "mxf",
    "ivf",
    "rm",
)  # in their headers; of others FFmpeg guesses it
TELL_END = ("gif", "apng", "ogg", "mpegts", "mpeg", "hls", "dash")  # or when they break off
DAMAGED = "{} is cut off or damaged: a part of the picture could not be read."
LEAST_HOLE = 8192  # bytes; containers and metadata are padded with less
_TRAILERS = {"gif": b";", "apng": b"IEND\xaeB`\x82"}
_PAGE, _LAST_PAGE = b"OggS", 4  # of Ogg: each begins so, and this bit of its byte 5 is set in a stream's last
_LONGEST_PAGE = 65_536  # bytes
_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # of ASF; 40 bytes on it has the file's size
_LONGEST_HEADER = 65_536


def path_of(container: InputContainer) -> Path | None:
    """The file on this machine that was opened; None of another."""
    path = Path(container.name.removeprefix("file:"))
    return path if path.is_file() else None


def lacks_end(container: InputContainer) -> bool:
    """Whether a file on this machine ends without what ends each whole one of its kind."""
    path, kind = path_of(container), container.format.name
    if path is None or kind not in (*_TRAILERS, "ogg"):
        return False
    with path.open("rb") as file:
        file.seek(-min(container.size, _LONGEST_PAGE), os.SEEK_END)
        ending = file.read().rstrip(b"\0")
    if kind != "ogg":
        return not ending.endswith(_TRAILERS[kind])
    page = ending[ending.rfind(_PAGE) :]
    return not page.startswith(_PAGE) or not page[5:6] or not page[5] & _LAST_PAGE


def told_size(container: InputContainer) -> int:
    """The size of a file on this machine as its header says, bytes; 0 where it does not."""
    path = path_of(container)
    if path is None or container.format.name != "asf":
        return 0
    with path.open("rb") as file:
        header = file.read(_LONGEST_HEADER)
    at = header.find(_FILE_PROPERTIES) + 40
    return int.from_bytes(header[at : at + 8], "little") if at >= 40 else 0


def has_hole(file: Path | bytes) -> bool:
    """Whether a tenth of a file is zeros in one run: space that was kept free for what never came."""
    data = content_of(file)
    return data.find(bytes(max(LEAST_HOLE, len(data) // 10))) >= 0


def content_of(file: Path | bytes) -> bytes | mmap.mmap:
    """What can be searched of a file, without reading it all."""
    if isinstance(file, bytes):
        return file
    with file.open("rb") as handle:
        return mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
