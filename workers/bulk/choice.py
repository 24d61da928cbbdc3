"""Which submitted files a command means."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Sequence

from dfd_core.errors import QueueError
from dfd_core.queue.bulk import BulkQueue
from dfd_core.queue.submitted import BulkState, Entry


def add_choice(parser: argparse.ArgumentParser, all_help: str) -> None:
    """Paths, or --all."""
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="as submitted, or absolute; dfd jobs --json lists both"
    )
    parser.add_argument("--all", action="store_true", help=all_help)


def chosen(args: argparse.Namespace, book: BulkQueue, states: Collection[BulkState]) -> list[Entry]:
    """The entries that `args` name and that are in one of `states`; QueueError for a path that was not submitted."""
    if not args.paths and not args.all:
        raise QueueError("Which files? Give their paths as submitted, or --all.")
    entries = book.entries()
    if not args.all:
        entries = [entry for path in dict.fromkeys(args.paths) for entry in _named(path, entries)]
    return [entry for entry in entries if entry.state in states]


def _named(path: str, entries: Sequence[Entry]) -> list[Entry]:
    """The rows of the file that is at `path`, or else of the one that was submitted under that name."""
    absolute = os.path.realpath(path)
    here = [entry for entry in entries if entry.file.absolute == absolute]
    named = here or [entry for entry in entries if entry.file.path == path]
    if not named:
        raise QueueError(f"{path} was not submitted: dfd jobs --json lists what was.")
    if len({entry.file.absolute for entry in named}) > 1:
        raise QueueError(f"{path} was submitted from several folders: give the whole path, as dfd jobs --json has it.")
    return named
