"""Names of files and streams are data, whatever they hold: how they are written where only UTF-8 goes.

Bytes of a name that are no UTF-8 are surrogates in Python (PEP 383); written they are `\\udcXX`, which JSON reads back
as the same name.
"""

from __future__ import annotations

import io
import json
import sys
import unicodedata
from typing import Any

ESCAPED = "backslashreplace"  # for `errors` of files that we write
_UNSEEN = {"Cc", "Cs", "Zl", "Zp"}  # categories: control characters, surrogates, separators of lines and paragraphs


def utf8(text: str) -> str:
    """`text` with what is no UTF-8 as `\\udcXX`."""
    return text.encode("utf-8", ESCAPED).decode()


def one_line(text: str) -> str:
    """`text` with control characters and what is no UTF-8 as escapes, so that no name moves a terminal's cursor."""
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in _UNSEEN else c for c in text)


def json_line(data: Any) -> str:
    """`data` as JSON on one line, without line end; valid UTF-8 whatever the names in it hold."""
    return utf8(json.dumps(data, ensure_ascii=False))


def print_any_name() -> None:
    """Let standard output and error take every name from now on."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ESCAPED)
