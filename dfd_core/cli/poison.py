"""`dfd poison`: the windows that no worker survived, which were set aside: listed, taken out as files, dropped."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
from rich.table import Table

from dfd_core.console import PlainConsole, shown
from dfd_core.errors import DataError, SettingsError, WireError
from dfd_core.names import format_time, json_line, one_line
from dfd_core.queue import arrays, records
from dfd_core.queue.broker import connect, told
from dfd_core.queue.poison import drop, kept_windows
from dfd_core.queue.records import WindowHeader
from dfd_core.settings import Settings

EXAMPLES = """examples:
  dfd poison list --redis redis://queue:6379/0
  dfd poison export --all --out poison/        # a folder a window: its faces as PNG, its bytes, why it was set aside
  dfd poison drop cam-1a2b3c4d-17"""
ACTIONS = ("list", "export", "drop")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,200}")

Kept = tuple[WindowHeader, str, dict[str, bytes]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `dfd poison`."""
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of windows, as they are listed")
    parser.add_argument("--all", action="store_true", help="every window that is kept")
    parser.add_argument("--json", action="store_true", help="list as JSON, a window a line")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for what is exported")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """One action."""
    client = connect(settings.redis)
    try:
        with told(settings.redis):
            kept = kept_windows(client)
            if args.action == "list" and not args.names:
                return _list(kept, args.json)
            chosen = _chosen(kept, args)
            if args.action == "list":
                return _list(chosen, args.json)
            if args.action == "drop":
                print(f"{drop(client, chosen)} dropped")
                return 0
        return _export(chosen, args.out)
    finally:
        client.close()


def _chosen(kept: Mapping[str, Kept], args: argparse.Namespace) -> dict[str, Kept]:
    if args.all == bool(args.names):
        raise SettingsError(f"dfd poison {args.action} needs either names of windows or --all.")
    for name in args.names:
        if name not in kept:
            raise SettingsError(f"No window {name} is kept: `dfd poison list` shows those that are.")
    return {name: kept[name] for name in args.names or kept}


def _list(kept: Mapping[str, Kept], as_json: bool) -> int:
    if as_json:
        for name, (header, reason, _) in kept.items():
            print(json_line({"name": name, "reason": reason, **records.header_json(header)}))
        return 0
    table = Table("window", "stream", "from", "to", "size", "why")
    for name, (header, reason, stored) in kept.items():
        size = f"{sum(map(len, stored.values())) / 1e6:.1f} MB"
        times = format_time(header.start_s), format_time(header.end_s)
        table.add_row(shown(name), shown(header.stream), *times, size, shown(reason))
    PlainConsole().print(table)
    return 0


def _export(chosen: Mapping[str, Kept], out: Path | None) -> int:
    if out is None:
        raise SettingsError("dfd poison export needs --out DIR, the folder to write to.")
    for name, (header, reason, stored) in chosen.items():
        if not _NAME.fullmatch(name):
            raise DataError(f"'{one_line(name)}' is no name for a folder: dfd did not set it aside.")
        try:
            (out / name).mkdir(parents=True, exist_ok=True)
            for file, data in _files(header, reason, stored):
                (out / name / file).write_bytes(data)
        except OSError as error:
            raise DataError(f"{out / name} cannot be written ({error.strerror}).") from None
    print(f"{len(chosen)} exported to {one_line(str(out))}")
    return 0


def _files(header: WindowHeader, reason: str, stored: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file; what is damaged comes as the bytes that it is."""
    yield "why.json", (json_line({"reason": reason, **records.header_json(header)}) + "\n").encode()
    for field, data in stored.items():
        kind, _, number = field.partition(":")
        if kind not in ("segment", "features") or not number.isdecimal():
            continue
        yield f"{kind}-{number}.bin", data
        if kind == "segment":
            yield from _faces(number, data)


def _faces(number: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        segment = arrays.unpack_segment(data)
    except WireError:
        return
    for track in segment.tracks:
        for place in np.flatnonzero(track.present):
            coded = cv2.imencode(".png", track.crops[place][..., ::-1])[1]
            yield f"{number}-face{track.id}-{place:02d}.png", coded.tobytes()
