"""Files that people write by hand (settings, tokens, addresses): small, and read whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_MOST_BYTES = 4_000_000  # thousands of streams fit many times; /dev/zero does not


def read_small(path: Path) -> bytes:
    """What a file holds; OSError where it cannot be read, or has more than any such file."""
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return content


def read_small_text(path: Path) -> str:
    """The text of such a file, which is UTF-8 with or without a mark that says so; UnicodeDecodeError for any other."""
    return read_small(path).decode("utf-8-sig").replace("\r\n", "\n")
