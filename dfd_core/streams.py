"""Streams by name: tables `[defaults]` and `[streams.NAME]` of the settings file, each value of one type and in range.

[defaults]
fps = 8                          # any key of a stream but its address

[streams.lobby]
url_env = "LOBBY_URL"            # the address: url, or the variable or file of the ingest's machine that holds it
enter = 0.9
labels = {site = "north", floor = "2"}
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from dfd_core.errors import SettingsError
from dfd_core.names import brief, without_secrets
from dfd_core.settings import Settings, convert, kind_of
from dfd_core.small_files import read_small_text

TABLES = ("defaults", "streams")  # of the settings file, beside the sections of settings
ADDRESSES = ("url", "url_env", "url_file")
NUMBERS = {  # key of a stream -> the setting that it takes the place of
    "fps": "video.sample_fps",
    "window": "windows.frames",
    "stride": "windows.stride",
    "min_face_px": "faces.min_width_px",
    "enter": "verdict.enter",
    "exit": "verdict.exit",
    "min_duration_s": "verdict.min_duration_s",
    "cooldown_s": "verdict.cooldown_s",
    "jump": "verdict.jump",
}
KEYS = (*ADDRESSES, *NUMBERS, "labels", "live", "enabled")
MOST_LABELS = 8  # a stream; they become labels of a metric
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LABEL = re.compile(r"[a-z_][a-z0-9_]{0,31}")
_RESERVED = frozenset({"stream", "job", "instance", "le", "quantile"})
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """One stream as it is wished for: one of three addresses, `numbers` in place of settings, what it is called.

    `live`: a camera or a file, None: found out from the source. `added`: by `dfd streams add`, not by a file.
    `canary`: of each so many seconds of media time (the first number) the last so many are fake, on purpose.
    """

    name: str
    url: str = ""
    url_env: str = ""  # the variable that holds the URL
    url_file: str = ""  # the file whose first line is the URL
    numbers: dict[str, float] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    live: bool | None = None
    enabled: bool = True
    added: bool = False
    canary: tuple[float, float] | None = None

    def settings(self, settings: Settings, section: str = "") -> Settings:
        """`settings` with this stream's own numbers, those of one section if it is named; SettingsError."""
        own = {NUMBERS[key]: value for key, value in self.numbers.items() if key in NUMBERS}
        values = {dotted: value for dotted, value in own.items() if dotted.startswith(section)}
        return settings.with_values(values, f"stream {self.name}")

    def address(self, environ: Mapping[str, str]) -> str:
        """Its URL or path, read where it is kept; SettingsError, which never holds it, where it is not there."""
        if self.url_env:
            if not environ.get(self.url_env):
                raise SettingsError(f"Stream {self.name}: the variable {self.url_env} of url_env is not set.")
            return environ[self.url_env]
        if not self.url_file:
            return self.url
        try:
            lines = read_small_text(Path(self.url_file)).split("\n")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise SettingsError(f"Stream {self.name}: cannot read its url_file {self.url_file}: {why}.") from None
        if not lines[0].strip():
            raise SettingsError(f"Stream {self.name}: the first line of its url_file {self.url_file} is empty.")
        return lines[0].strip()


def read_streams(tables: Mapping[str, object], settings: Settings, origin: str) -> list[StreamSpec]:
    """The streams of a settings file's tables, in order; SettingsError for the first thing that is wrong.

    `origin` is the file, for the sentence; `settings` are those that the streams' own numbers must fit.
    """
    defaults = _table(tables.get("defaults", {}), f"[defaults] of {origin}")
    for key in defaults:
        if key in ADDRESSES:
            raise SettingsError(f"{key} cannot stand in [defaults] of {origin}: each stream has an address of its own.")
    streams = _table(tables.get("streams", {}), f"[streams] of {origin}")
    _typed("defaults", {**defaults, "url": "x"}, f"[defaults] of {origin}")  # ranges: once all of a stream is known
    return [_merged(name, defaults, table, settings, origin) for name, table in streams.items()]


def read_stream(name: str, table: Mapping[str, object], settings: Settings, where: str) -> StreamSpec:
    """One stream of the values in its table; SettingsError for the first that is wrong."""
    spec = _typed(checked_name(name), table, where)
    try:
        spec.settings(settings)
    except SettingsError as error:
        raise SettingsError(f"In {where}, {error}") from None
    return spec


def canary_of(url: str) -> tuple[float, float] | None:
    """When a synthetic:// stream with a schedule is fake (see `StreamSpec`); None for any other address."""
    scheme, _, rest = url.partition("://")
    given = dict(parse_qsl(rest.partition("?")[2])) if scheme.lower() == "synthetic" else {}
    try:
        every_s, fake_s = float(given["every"]), float(given["fake_for"])
    except (KeyError, ValueError):
        return None
    return (every_s, fake_s) if 0 < fake_s < every_s < math.inf else None


def checked_name(name: str) -> str:
    """`name` where it can be a stream's; SettingsError else."""
    if not _NAME.fullmatch(name):
        said = f"'{name}' cannot be a stream's name: take up to 64 letters, digits, - and _."
        raise SettingsError(without_secrets(said, [name]))
    return name


def _typed(name: str, table: Mapping[str, object], where: str) -> StreamSpec:
    """Its values with the right types, in whatever range."""
    for key in table:
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.0)[0]
            raise SettingsError(without_secrets(f"Unknown key '{key}' in {where}. Did you mean '{near}'?", [key]))
    numbers = {key: convert(table[key], kind_of(NUMBERS[key]), key, where) for key in NUMBERS if key in table}
    return StreamSpec(
        name=name,
        **_address(table, where),
        numbers=numbers,
        labels=_labels(table.get("labels", {}), where),
        live=_truth(table, "live", where),
        enabled=_truth(table, "enabled", where) is not False,
    )


def _merged(name: str, defaults: Mapping[str, object], table: object, settings: Settings, origin: str) -> StreamSpec:
    where = f"[streams.{name}] of {origin}"
    own = _table(table, where)
    labels = {**_labels(defaults.get("labels", {}), where), **_labels(own.get("labels", {}), where)}
    return read_stream(name, {**defaults, **own, "labels": labels}, settings, where)


def _table(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{where} must be a table, as [streams.lobby] and lines below it.")
    return value


def _address(table: Mapping[str, object], where: str) -> dict[str, Any]:
    given = [key for key in ADDRESSES if key in table]
    if not given:
        raise SettingsError(f"{where} has no address: give it url, url_env or url_file.")
    if len(given) > 1:
        raise SettingsError(f"{where} has {' and '.join(given)}: give it one of them.")
    key = given[0]
    text = convert(table[key], str, key, where)
    if not text.strip():
        raise SettingsError(f"{key} in {where} must not be empty.")
    if _unfit(text):
        raise SettingsError(f"{key} in {where} holds characters that no address can: NUL, or half of a pair.")
    if key == "url_env" and (not _VARIABLE.fullmatch(text) or text.startswith("DFD_")):
        raise SettingsError(
            f"url_env in {where} must be the name of a variable (letters, digits and _) that does not begin with DFD_."
        )
    return {key: text}


def _truth(table: Mapping[str, object], key: str, where: str) -> bool | None:
    value = table.get(key)
    if value is not None and not isinstance(value, bool):
        raise SettingsError(f"{key} in {where} must be true or false, not {brief(value)}.")
    return value


def _unfit(text: str) -> bool:
    """Whether it holds what no file system, variable or metric takes."""
    return "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text)


def _labels(value: object, where: str) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for text in value.values()):
        raise SettingsError(f'labels in {where} must be a table of texts, as {{site = "north"}}.')
    if len(value) > MOST_LABELS:
        raise SettingsError(f"labels in {where} are {len(value)}: {MOST_LABELS} are the most.")
    for key, text in value.items():
        if not _LABEL.fullmatch(key) or key in _RESERVED or key.startswith("__"):
            said = (
                f"'{key}' in labels of {where} cannot be a label: take up to 32 small letters, digits and _, "
                f"but none of {', '.join(sorted(_RESERVED))}."
            )
            raise SettingsError(without_secrets(said, [key]))
        if _unfit(text):
            raise SettingsError(
                f"The label {key} in {where} holds characters that no text can: NUL, or half of a pair."
            )
        if len(text) > 64:
            raise SettingsError(f"The label {key} in {where} is longer than 64 characters.")
    return dict(value)
