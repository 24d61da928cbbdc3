"""How names and times are written: names of files and streams are data, whatever they hold.

Bytes of a name that are no UTF-8 are surrogates in Python (PEP 383); written they are `\\udcXX`, which JSON reads back
as the same name.
"""

from __future__ import annotations

import io
import ipaddress
import json
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_BRIEF = 200  # characters
ESCAPED = "backslashreplace"  # for `errors` of files that we write
_TURNED = "\u202a-\u202e\u2066-\u2069"  # let what follows be shown from right to left: gpj.exe is exe.jpg then
_UNSEEN = "\x7f-\x9f\u2028\u2029\ud800-\udfff" + _TURNED  # control characters, ends of lines, surrogates
_NO_TEXT = re.compile(f"[\x00-\x1f{_UNSEEN}]")
CREDENTIAL = r"(?<![^\W_])(?:user(?:name)?|pass(?:word|wd|phrase)?|pwd|token|secret|auth|key)="
"""A pattern, in any case: where a user or a password begins in a path; cameras take rtsp://host/user=a_password=b."""
_MORE_THAN_A_PLACE = re.compile(rf":.*@|:/.*(?:[?#]|{CREDENTIAL})", re.DOTALL | re.IGNORECASE)
_USER = re.compile(  # of a URL in a sentence, to the last @ where a password precedes it: it may hold every character
    r"(\b[A-Za-z][A-Za-z0-9+.-]*://?)(?:[^\s/:@]*:[^\n]*|[^\s/:@]*)@"
)
_NOT_IN_JSON = re.compile(f"[{_UNSEEN}]")


def utf8(text: str) -> str:
    """`text` with what is no UTF-8 as `\\udcXX`."""
    return text.encode("utf-8", ESCAPED).decode()


def one_line(text: str) -> str:
    """`text` with control characters and what is no UTF-8 as escapes: no name moves a cursor, or looks like another."""
    return _NO_TEXT.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def json_line(data: Any) -> str:
    """`data` as JSON on one line, without line end: valid UTF-8, and a line to every reader, whatever names hold."""
    return _NOT_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(data, ensure_ascii=False))


def format_time(seconds: float) -> str:
    """Media seconds as `mm:ss`, or `h:mm:ss` from one hour on; parts of a second are cut off."""
    whole = max(0, int(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def print_any_name() -> None:
    """Let standard output and error take every name from now on."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ESCAPED)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server on that address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def without_addresses(message: str, words: Iterable[str]) -> str:
    """What is said of typed `words`, without those that hold a URL or a user: a password may stand there."""
    parts = {part.strip() for word in words if _is_address(word) for part in (word, *word.partition("=")[::2])}
    for part in sorted((part for part in parts if _is_address(part) or ":" in part), key=len, reverse=True):
        for form in (repr(part), part, repr(part)[1:-1], str(Path(part))):
            message = message.replace(form, "(an address, which is not repeated)")
    return message


def without_secrets(message: str, words: Iterable[str] = ()) -> str:
    """`message` without those of the typed `words` that hold more than a place, and without users before an @.

    Words that name files are repeated, whatever they hold.
    """
    hidden = [word for word in words if _MORE_THAN_A_PLACE.search(word) and not os.path.lexists(word)]
    return _USER.sub(r"\1", without_addresses(message, hidden))


def brief(value: object) -> str:
    """A wrong value as Python writes it: without secrets, and cut where it is long."""
    try:
        text = without_secrets(repr(value), [str(value)])
    except ValueError:  # a number of thousands of digits
        text = "a number of thousands of digits"
    return text if len(text) <= _BRIEF else f"{text[:_BRIEF]}..."


def _is_address(word: str) -> bool:
    return "://" in word or "@" in word
