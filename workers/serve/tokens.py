"""Who may ask: bearer tokens by role. A file holds their hashes, a line each: `ROLE SHA256 [whose it is]`.

A token is 32 random bytes, so that a plain hash of it tells nothing. The file is read again when it changes: a line
that was taken out ends that token at once.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
from enum import IntEnum
from pathlib import Path

from dfd_core.errors import SettingsError
from dfd_core.small_files import read_small_text

PREFIX = "dfd_"
_LINE = re.compile(r"(?P<role>[a-z]+)\s+(?P<digest>[0-9a-f]{64})(\s.*)?")

log = logging.getLogger(__name__)


class Role(IntEnum):
    """What a token is good for; each may do what those before it may."""

    READ = 1  # look at everything
    SUBMIT = 2  # give files to be scored
    OPERATE = 3  # change streams and alarms, forget files

    @property
    def word(self) -> str:
        """As it stands in the file."""
        return self.name.lower()


ROLES = {role.word: role for role in Role}


def new_token(role: Role) -> tuple[str, str]:
    """A token that nobody has, and its line for the file."""
    token = PREFIX + secrets.token_urlsafe(32)
    return token, f"{role.word} {_digest(token)}"


class TokenBook:
    """The tokens of a file; without a file everybody may do everything, for a server on loopback."""

    def __init__(self, path: str) -> None:
        """SettingsError for a file that cannot be read or holds anything else."""
        self._path = Path(path) if path else None
        self._stamp: tuple[int, int, int] | None = None
        self._roles: dict[str, Role] = {}
        if self._path is not None:
            self._roles = _read(self._path)
            self._stamp = _stamp(self._path)

    @property
    def needed(self) -> bool:
        """Whether a token is asked for at all."""
        return self._path is not None

    def role_of(self, token: str | None) -> Role | None:
        """What the bearer of `token` may do; None for nothing."""
        if self._path is None:
            return Role.OPERATE
        self._look(self._path)
        return self._roles.get(_digest(token)) if token else None

    def _look(self, path: Path) -> None:
        stamp = _stamp(path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._roles = _read(path)
        except SettingsError as error:
            log.error("%s Nobody is let in until it is mended.", error)
            self._roles = {}


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _read(path: Path) -> dict[str, Role]:
    try:
        lines = read_small_text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(f"The tokens {path} (serve.tokens) cannot be read: {why}.") from None
    roles: dict[str, Role] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None or found["role"] not in ROLES:
            raise SettingsError(
                f"Line {number} of {path} is no token: write a role ({', '.join(ROLES)}) and a hash, "
                "as dfd serve --new-token ROLE prints them."
            )
        roles[found["digest"]] = ROLES[found["role"]]
    return roles


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
