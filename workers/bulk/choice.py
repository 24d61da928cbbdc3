"""Which submitted files a command means."""

from __future__ import annotations

import argparse
from collections.abc import Collection

from dfd_core.bulk import BulkQueue, BulkState, Entry
from dfd_core.errors import QueueError


def add_choice(parser: argparse.ArgumentParser, all_help: str) -> None:
    """Paths, or --all."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="as it was submitted; dfd jobs --json lists them")
    parser.add_argument("--all", action="store_true", help=all_help)


def chosen(args: argparse.Namespace, book: BulkQueue, states: Collection[BulkState]) -> list[Entry]:
    """The entries that `args` name and that are in one of `states`; QueueError for a path that was not submitted."""
    if not args.paths and not args.all:
        raise QueueError("Which files? Give their paths as submitted, or --all.")
    entries = book.entries(None if args.all else args.paths)
    unknown = set(args.paths) - {entry.file.path for entry in entries}
    if unknown:
        raise QueueError(f"{min(unknown)} was not submitted: dfd jobs --json lists what was.")
    return [entry for entry in entries if entry.state in states]
