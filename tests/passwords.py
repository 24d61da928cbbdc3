"""Passwords of every printable character, addresses that hold them, and whether a text tells any part of one."""

import html
import json
import random
import string
from collections.abc import Iterable
from urllib.parse import quote

PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " "
_PART = 6  # characters of one that no text has by chance


def passwords(count: int) -> list[str]:
    """Each printable character comes in some, first and last too; none is so short that it stands in any sentence."""
    drawn = random.Random(22)
    bodies = ["".join(drawn.choices(PRINTABLE, k=drawn.randint(8, 24))) for _ in range(count)]
    return [body if n >= len(PRINTABLE) else PRINTABLE[n] + body + PRINTABLE[n] for n, body in enumerate(bodies)]


PASSWORDS = passwords(200)


def addresses(scheme: str, place: str) -> list[str]:
    """One of each password: as it is, quoted in part, quoted wholly, and in the query, by turns."""
    made = []
    for number, password in enumerate(PASSWORDS):
        written = [password, quote(password), quote(password, safe="")][number % 3]
        if number % 4 == 3:
            made.append(f"{scheme}://{place}?token={quote(password, safe='')}")
        else:
            made.append(f"{scheme}://admin:{written}@{place}")
    return made


def _forms(password: str) -> set[str]:
    return {password, quote(password), quote(password, safe=""), json.dumps(password)[1:-1], html.escape(password)}


def _parts(text: str) -> Iterable[str]:
    return (text[at : at + _PART] for at in range(len(text) - _PART + 1))


_SECRET = {part for password in PASSWORDS for form in _forms(password) for part in _parts(form)}


def told(text: str) -> list[str]:
    """What of any password stands in `text`, with what stands around it."""
    found = [at for at, part in enumerate(_parts(text)) if part in _SECRET]
    return [text[max(0, at - 40) : at + 40] for at in found[:3]]
